#include "harness/publish/figures.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "harness/protocol/request.h"
#include "harness/publish/case_figures.h"
#include "harness/publish/publish.h"

namespace lockstep::publish {
namespace {

namespace fs = std::filesystem;
using protocol::Request;
using testing::HasSubstr;
using testing::Not;

constexpr std::int64_t kSequence = 8;

Request PipelineTimesDataTimesTensor() {
  Request request;
  request.id = "figures";
  protocol::Model& model = request.workload.model;
  model.kind = protocol::ModelKind::kGpt;
  model.layers = 2;
  model.width = 8;
  model.heads = 2;
  model.mlp_width = 32;
  model.vocabulary = 11;
  model.sequence = kSequence;
  request.workload.global_batch = 6;
  request.workload.steps = 2;
  request.plan.data = request.plan.tensor = request.plan.pipeline = 2;
  request.plan.micro_batches = 2;
  request.evidence.gradients = request.evidence.clipped_gradients = request.evidence.parameters = false;
  request.evidence.optimizer_state = false;
  return request;
}

// Each rank reports its replica's micro-batches; only one rank a replica may be counted.
void LeaveEvidence(const fs::path& folder, const Request& request, bool ledger, const std::string& device = "host") {
  for (std::int64_t rank = 0; rank < request.plan.WorldSize(); ++rank) {
    const protocol::Coordinates at = request.plan.At(rank);
    protocol::EvidenceWriter writer(folder, rank);
    protocol::Hello hello;
    hello.rank = rank;
    hello.world_size = request.plan.WorldSize();
    hello.pid = 1;
    hello.host = "here";
    hello.device_kind = device;
    hello.device_name = "a processor";
    hello.trainer = "kokkos";
    hello.version = "1";
    hello.effective.plan = request.plan;
    hello.effective.at = at;
    hello.effective.devices = std::vector<std::int64_t>(static_cast<std::size_t>(hello.world_size), 0);
    writer.Write(hello);
    for (std::int64_t step = 1; step <= 2; ++step) {
      for (std::int64_t micro_batch = 0; ledger && micro_batch < 2; ++micro_batch) {
        const std::int64_t first = 3 * at.data + 2 * micro_batch;
        const std::vector<std::int64_t> samples =
            micro_batch == 0 ? std::vector<std::int64_t>{first, first + 1} : std::vector<std::int64_t>{first};
        writer.Write(protocol::MicroBatchEvent{step, micro_batch, samples, 10 + at.data});
      }
      protocol::StepEvent event;
      event.step = step;
      if (at.pipeline == 1) event.loss = 3.0 - static_cast<double>(step);
      event.gradient_norm = 1;
      event.learning_rate = 0.1;
      event.valid_tokens = 42;
      event.wall_seconds = 0.5 + static_cast<double>(rank) / 128;
      event.busy_seconds = event.wall_seconds - 0.125;
      event.idle_seconds = 0.125;
      writer.Write(event);
    }
    protocol::Done done;
    done.steps = 2;
    done.memory.categories = {{"parameters", 100 + rank}};
    done.memory.peak_bytes = 200 + rank;
    done.wall_seconds = 1 + 0.02 * static_cast<double>(rank);
    done.idle_seconds = 0.25;
    done.busy_seconds = done.wall_seconds - done.idle_seconds;
    writer.Write(done);
  }
}

protocol::RunEvidence Evidence(const std::string& name, bool ledger) {
  const fs::path folder = fs::path(testing::TempDir()) / name;
  fs::remove_all(folder);
  fs::create_directories(folder);
  const Request request = PipelineTimesDataTimesTensor();
  LeaveEvidence(folder, request, ledger);
  return protocol::RunEvidence::Read(folder, request);
}

TEST(Summarize, CountsEachSampleAndTokenOnceWhateverTheLayout) {
  const TrainSummary summary = Summarize(Evidence("lockstep_figures", true));
  EXPECT_EQ(summary.samples, (std::vector<double>{6, 6}));
  EXPECT_EQ(summary.tokens, (std::vector<double>{42, 42}));
  EXPECT_EQ(summary.step_seconds, (std::vector<double>{0.5 + 7.0 / 128, 0.5 + 7.0 / 128}));  // the slowest rank's
  const double flops = protocol::ModelFlops(PipelineTimesDataTimesTensor().workload.model, 6.0 * kSequence);
  EXPECT_GT(flops, 0);
  EXPECT_DOUBLE_EQ(summary.model_flops, 2 * flops);
}

TEST(Summarize, TakesTokensFromTheStepsWhereThereIsNoLedger) {
  const TrainSummary summary = Summarize(Evidence("lockstep_figures_no_ledger", false));
  EXPECT_EQ(summary.tokens, (std::vector<double>{42, 42}));
}

TEST(Summarize, TellsOfARunThatWasCutShort) {
  const protocol::RunEvidence whole = Evidence("lockstep_figures_cut", true);
  std::vector<protocol::RankEvidence> ranks = whole.ranks();
  for (protocol::RankEvidence& rank : ranks) {
    rank.steps.pop_back();
    rank.done.reset();
    std::erase_if(rank.micro_batches, [](const protocol::MicroBatchEvent& event) { return event.step == 2; });
  }
  const TrainSummary summary = Summarize(whole.request(), ranks);
  EXPECT_FALSE(summary.complete);
  EXPECT_EQ(summary.last_step, 1);
  EXPECT_EQ(summary.tokens, (std::vector<double>{42}));
  EXPECT_EQ(summary.last_loss, 2.0);
  EXPECT_EQ(summary.ranks[7].idle_seconds, 0.125);
}

TEST(Summarize, TellsLossesRanksAndWorkload) {
  const TrainSummary summary = Summarize(Evidence("lockstep_figures_loss", true));
  EXPECT_EQ(summary.first_loss, 2.0);
  EXPECT_EQ(summary.last_loss, 1.0);
  EXPECT_EQ(summary.last_step, 2);
  EXPECT_TRUE(summary.complete);
  EXPECT_EQ(summary.backend, "kokkos");
  EXPECT_EQ(summary.workload, "gpt fp32 sgd");
  ASSERT_EQ(summary.ranks.size(), 8u);
  EXPECT_EQ(summary.ranks[7].pp_stage, 1);
  EXPECT_EQ(summary.ranks[7].memory.peak_bytes, 207);
  EXPECT_EQ(summary.ranks[7].idle_seconds, 0.25);
}

TEST(FillFigures, PutsIntoACaseWhatIsReadBackFromIt) {
  protocol::CaseResult result;
  result.id = "figures/dp=2,tp=2,pp=2";
  result.plan = "dp=2,tp=2,pp=2,micro_batches=2";
  FillFigures(Evidence("lockstep_figures_case", true), {}, &result);
  EXPECT_EQ(result.workload, "gpt fp32 sgd");
  const std::vector<RankFigures> ranks = RanksOf(result);
  ASSERT_EQ(ranks.size(), 8u);
  EXPECT_EQ(ranks[4].pp_stage, 1);
  EXPECT_EQ(ranks[4].memory.categories.at("parameters"), 104);
  EXPECT_EQ(SamplesOf(result, kTokensPerStep), (std::vector<double>{42, 42}));
  EXPECT_NEAR(MedianOf(result, kTokensPerSecond), 42 / (0.5 + 7.0 / 128), 1e-9);
}

// Eight ranks of a pipeline whose time was attributed.
TimeFigures Attributed() {
  TimeFigures times;
  times.seconds.assign(8, {{"compute", 0.5}, {"bubble", 0.25}, {"straggler", 0.125}, {"host", 0.0625}});
  times.bubble_ratio = 0.25;
  times.bubble_expected_ratio = 0.2;
  return times;
}

TEST(IdleTime, IsPublishedByReasonWhereItHasBeenAttributed) {
  TrainSummary summary = Summarize(Evidence("lockstep_figures_reasons", true));
  EXPECT_THAT(TrainMetricsText(summary), HasSubstr("reason=\"other_rank\""));
  EXPECT_THAT(TrainText(summary, false), Not(HasSubstr("idle for")));
  AddTimes(Attributed(), &summary);
  EXPECT_EQ(SumOfReasons(summary.ranks[7]), 0.375);
  const std::string metrics = TrainMetricsText(summary);
  EXPECT_THAT(metrics, Not(HasSubstr("other_rank")));
  EXPECT_THAT(metrics, HasSubstr("pp_stage=\"1\",reason=\"bubble\",strategy=\"dp_tp_pp\",workload=\"gpt\"} 1\n"));
  EXPECT_THAT(metrics, HasSubstr("pp_stage=\"1\",reason=\"straggler\",strategy=\"dp_tp_pp\",workload=\"gpt\"} 0.5\n"));
  EXPECT_THAT(metrics, HasSubstr("pp_stage=\"1\",reason=\"transfer\",strategy=\"dp_tp_pp\",workload=\"gpt\"} 0\n"));
  EXPECT_THAT(metrics, Not(HasSubstr("reason=\"host\"")));
  EXPECT_THAT(
      metrics,
      HasSubstr("lockstep_pipeline_bubble_ratio{backend=\"kokkos\",strategy=\"dp_tp_pp\",workload=\"gpt\"} 0.25"));
  EXPECT_THAT(metrics, HasSubstr("lockstep_pipeline_bubble_expected_ratio{backend=\"kokkos\",strategy=\"dp_tp_pp\""));
  EXPECT_THAT(TrainText(summary, false), HasSubstr("idle for  bubble 67%, straggler 33%\n"));
}

TEST(IdleTime, SurvivesARecord) {
  protocol::CaseResult result;
  result.id = "figures/dp=2,tp=2,pp=2";
  result.plan = "dp=2,tp=2,pp=2,micro_batches=2";
  result.status = protocol::Status::kPass;
  FillFigures(Evidence("lockstep_figures_reasons_case", true), Attributed(), &result);
  EXPECT_EQ(RanksOf(result).at(3).seconds, Attributed().seconds[3]);
  EXPECT_EQ(MedianOf(result, kBubbleRatio), 0.25);
  EXPECT_EQ(MedianOf(result, kBubbleExpectedRatio), 0.2);
  protocol::Record record;
  record.cases = {result};
  EXPECT_THAT(MetricsText(record), HasSubstr("reason=\"straggler\""));
  EXPECT_THAT(Table(record, false), HasSubstr("idle for  bubble 67%, straggler 33%\n"));
}

TEST(IdleTime, IsKeptOfARunThatWasDelayedOnPurposeAndItsStepTimesAreNot) {
  const fs::path folder = fs::path(testing::TempDir()) / "lockstep_figures_delayed";
  fs::remove_all(folder);
  fs::create_directories(folder);
  Request request = PipelineTimesDataTimesTensor();
  request.delays = {{.rank = 0, .operation = "F", .seconds = 0.25}};
  LeaveEvidence(folder, request, true, "host");
  protocol::CaseResult result;
  result.plan = "dp=2,tp=2,pp=2,micro_batches=2";
  FillFigures(protocol::RunEvidence::Read(folder, request), Attributed(), &result);
  EXPECT_TRUE(SamplesOf(result, kStepSeconds).empty());
  EXPECT_TRUE(SamplesOf(result, kTokensPerSecond).empty());
  EXPECT_EQ(MedianOf(result, kBubbleRatio), 0.25);
  EXPECT_EQ(RanksOf(result).at(3).seconds.at("bubble"), 0.25);
}

TEST(VirtualDevices, HaveMemoryAndCountsPublishedButNoTime) {
  const protocol::RunEvidence real = Evidence("lockstep_figures_virtual", true);
  std::vector<protocol::RankEvidence> ranks = real.ranks();
  for (protocol::RankEvidence& rank : ranks) rank.hello.device_kind = "virtual";
  const TrainSummary summary = Summarize(real.request(), ranks);
  ASSERT_TRUE(summary.virtual_devices);
  EXPECT_EQ(summary.ranks[7].memory.peak_bytes, 207);
  EXPECT_EQ(summary.ranks[7].wall_seconds, 0);
  const std::string metrics = TrainMetricsText(summary), text = TrainText(summary, false);
  EXPECT_THAT(metrics, HasSubstr("device_memory_peak_bytes"));
  for (const char* time : {"step_duration", "idle_seconds", "busy_seconds", "tokens_total"}) {
    EXPECT_THAT(metrics, Not(HasSubstr(time)));
  }
  EXPECT_THAT(text, HasSubstr("84 tokens by the ledger\nvirtual devices: no times are published"));
  EXPECT_THAT(text, Not(HasSubstr("tokens/s")));
}

TEST(VirtualDevices, LeaveNoTimeInARecord) {
  const fs::path folder = fs::path(testing::TempDir()) / "lockstep_figures_virtual_case";
  fs::remove_all(folder);
  fs::create_directories(folder);
  const Request request = PipelineTimesDataTimesTensor();
  LeaveEvidence(folder, request, true, "virtual");
  protocol::CaseResult result;
  result.id = "figures/dp=2,tp=2,pp=2";
  result.plan = "dp=2,tp=2,pp=2,micro_batches=2";
  result.status = protocol::Status::kPass;
  FillFigures(protocol::RunEvidence::Read(folder, request), Attributed(), &result);
  EXPECT_EQ(SamplesOf(result, kTokensPerStep), (std::vector<double>{42, 42}));
  EXPECT_TRUE(SamplesOf(result, kStepSeconds).empty());
  EXPECT_TRUE(result.pipeline.empty());
  protocol::Record record;
  record.cases = {result};
  record.system = {{"devices", {{{"kind", "virtual"}, {"name", "a virtual GPU"}}}}};
  EXPECT_THAT(Table(record, false), HasSubstr("virtual devices: no times are published"));
  EXPECT_THAT(Table(record, false), Not(HasSubstr("tokens/s")));
  EXPECT_THAT(MetricsText(record), Not(HasSubstr("idle_seconds")));
  record.system = {{"devices", {{{"kind", "gpu"}, {"name", "a GPU"}}}}};
  EXPECT_THAT(Table(record, false), Not(HasSubstr("virtual devices")));
}

}  // namespace
}  // namespace lockstep::publish
