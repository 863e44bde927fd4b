#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "harness/publish/metric_set.h"
#include "harness/publish/publish.h"
#include "suites/unit/publish/sample.h"

namespace lockstep::publish {
namespace {

using protocol::Record;
using protocol::Status;
using testing::HasSubstr;
using testing::Not;

const char kTwo[] = "{backend=\"kokkos\",strategy=\"dp\",workload=\"gpt\"}";

TEST(Metrics, CountCasesByProfileAndStatus) {
  const std::string text = MetricsText(SampleRecord());
  EXPECT_THAT(text, HasSubstr("lockstep_tests{profile=\"core\",status=\"fail\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("lockstep_tests{profile=\"core\",status=\"unsupported\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("lockstep_tests{profile=\"pipeline\",status=\"fail\"} 0\n"));
}

TEST(Metrics, CountStepsTokensAndSecondsOfCasesThatHold) {
  const std::string text = MetricsText(PassingRecord());
  EXPECT_THAT(text, HasSubstr("lockstep_steps_total" + std::string(kTwo) + " 6\n"));
  EXPECT_THAT(text, HasSubstr("lockstep_tokens_total" + std::string(kTwo) + " 604\n"));
  EXPECT_THAT(text, HasSubstr("lockstep_samples_total" + std::string(kTwo) + " 42\n"));
  EXPECT_THAT(text, HasSubstr("lockstep_model_flops_total" + std::string(kTwo) + " 6000000\n"));
  EXPECT_THAT(text, HasSubstr("lockstep_step_duration_seconds_count" + std::string(kTwo) + " 6\n"));
  EXPECT_THAT(text, HasSubstr("lockstep_step_duration_seconds_sum" + std::string(kTwo) + " 2\n"));
}

TEST(Metrics, PublishNoFigureOfACaseThatDoesNotHold) {
  Record record = PassingRecord();
  for (protocol::CaseResult& result : record.cases) result.status = Status::kFail;
  const std::string text = MetricsText(record);
  for (const char* name : {"tokens_total", "step_duration_seconds", "device_memory_peak_bytes", "pipeline_idle"}) {
    EXPECT_THAT(text, Not(HasSubstr(name)));
  }
}

TEST(Metrics, GiveLargestNoiseRatioByProfileAndStrategy) {
  const std::string text = MetricsText(PassingRecord());
  EXPECT_THAT(text,
              HasSubstr("lockstep_equivalence_noise_ratio{backend=\"kokkos\",profile=\"core\",strategy=\"dp\"} 1.93"));
  EXPECT_THAT(
      text,
      HasSubstr("lockstep_equivalence_noise_ratio_bound{backend=\"kokkos\",profile=\"core\",strategy=\"dp\"} 3\n"));
  Record record = PassingRecord();
  record.cases[0].checks[1].measured = std::nan("");
  EXPECT_THAT(MetricsText(record), HasSubstr("profile=\"core\",strategy=\"dp\"} Nan\n"));
}

TEST(Metrics, GivePeakMemoryByRankAndIdleSecondsByStage) {
  const std::string text = MetricsText(PassingRecord());
  const std::string pp = "backend=\"kokkos\",";
  EXPECT_THAT(text, HasSubstr("lockstep_device_memory_peak_bytes{backend=\"kokkos\",category=\"all\",rank=\"1\","
                              "strategy=\"pp\",workload=\"gpt\"} 80001\n"));
  EXPECT_THAT(text,
              HasSubstr("lockstep_device_memory_peak_bytes{backend=\"kokkos\",category=\"activations\",rank=\"0\","
                        "strategy=\"dp_tp_pp\",workload=\"gpt\"} 70000\n"));
  EXPECT_THAT(text, HasSubstr("lockstep_pipeline_idle_seconds_total{backend=\"kokkos\",pp_stage=\"1\","
                              "reason=\"other_rank\",strategy=\"pp\",workload=\"gpt\"} 2\n"));
}

TEST(Metrics, CountChecksThatFailed) {
  const std::string text = MetricsText(SampleRecord());
  EXPECT_THAT(text, HasSubstr("lockstep_equivalence_failures_total{backend=\"kokkos\",check=\"reported_norm\","
                              "strategy=\"dp\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("lockstep_equivalence_failures_total{backend=\"kokkos\",check=\"replicas_bitwise\","
                              "strategy=\"dp\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("lockstep_rank_failures_total{reason=\"signal\"} 1\n"));
}

TEST(Metrics, TellTimesOfSuccessOnlyOfASuccess) {
  const std::string labels = "{profile=\"core,pipeline,hybrid\"} ";
  EXPECT_THAT(MetricsText(PassingRecord()),
              HasSubstr("lockstep_suite_last_success_timestamp_seconds" + labels + "1738368089\n"));
  EXPECT_THAT(MetricsText(PassingRecord()), HasSubstr("lockstep_suite_duration_seconds" + labels + "90\n"));
  EXPECT_THAT(MetricsText(SampleRecord()), Not(HasSubstr("last_success")));
  EXPECT_THAT(MetricsText(SampleRecord()), HasSubstr("last_completion_timestamp_seconds" + labels));
}

TEST(Metrics, MakeOneSeriesOfMoreThan64Ranks) {
  TrainSummary summary = SampleTrain();
  for (int rank = 2; rank < 65; ++rank) {
    summary.ranks.push_back(summary.ranks[0]);
    summary.ranks.back().rank = rank;
  }
  const std::string text = TrainMetricsText(summary);
  EXPECT_THAT(text, HasSubstr("category=\"all\",rank=\"all\",strategy=\"pp\",workload=\"gpt\"} 80001\n"));
  EXPECT_THAT(text, Not(HasSubstr("rank=\"0\"")));
}

TEST(TrainMetrics, GiveLossAndTokens) {
  const std::string text = TrainMetricsText(SampleTrain());
  EXPECT_THAT(text, HasSubstr("lockstep_loss{backend=\"kokkos\",strategy=\"pp\",workload=\"gpt\"} 4.25\n"));
  EXPECT_THAT(text, HasSubstr("lockstep_tokens_total{backend=\"kokkos\",strategy=\"pp\",workload=\"gpt\"} 406\n"));
  EXPECT_THAT(text, HasSubstr("lockstep_last_step_timestamp_seconds"));
}

TEST(MetricSet, RefusesNamesAndKindsThatAreNotInTheTable) {
  MetricSet metrics;
  EXPECT_THROW(metrics.Set("made_up", {}, 1), std::logic_error);
  EXPECT_THROW(metrics.Set("steps_total", {}, 1), std::logic_error);
}

TEST(MetricSet, KeepsHostileLabelsOnOneLine) {
  MetricSet metrics;
  metrics.Set("run_info", {{"run_id", "a\nb\"c\\\x01\xff"}}, 1);
  EXPECT_THAT(metrics.Text(), HasSubstr("run_id=\"a b\\\"c\\\\\\\\x01\uFFFD\"} 1\n"));
}

}  // namespace
}  // namespace lockstep::publish
