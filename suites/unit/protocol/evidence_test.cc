#include "harness/protocol/evidence.h"

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "harness/protocol/files.h"
#include "suites/unit/protocol/support.h"

namespace lockstep::protocol {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr const char* kTensor = "param/wte.weight";
const Shape kGlobal = {7, 4};

// Four ranks' evidence of SmallRequest(): each rank holds its quarter of rows of one tensor, whose elements count up.
class EvidenceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (std::int64_t rank = 0; rank < 4; ++rank) WriteRank(rank);
  }

  static Slice SliceAt(std::int64_t rank) {
    const protocol::Run rows = Split(kGlobal[0], 4, rank);
    return {kGlobal, {rows.begin, 0}, {rows.size, kGlobal[1]}};
  }

  void WriteStep(EvidenceWriter& writer, std::int64_t rank, std::int64_t step) {
    const Slice slice = SliceAt(rank);
    std::vector<double> values;
    for (std::int64_t i = 0; i < ElementCount(slice.shape); ++i) {
      values.push_back(static_cast<double>(slice.offset[0] * kGlobal[1] + i));
    }
    writer.WriteStep(step, {{kTensor, Tensor::FromDoubles(DType::kF32, slice.shape, values)}}, {{kTensor, slice}});
  }

  void WriteRank(std::int64_t rank) {
    EvidenceWriter writer(folder_.path(), rank);
    writer.Write(SmallHello(request_, rank));
    const bool last_stage = request_.plan.At(rank).pipeline == 1;
    WriteStep(writer, rank, 0);
    for (std::int64_t step = 1; step <= 2; ++step) {
      writer.Write(MicroBatchEvent{step, 0, {2 * rank, 2 * rank + 1}, 5});
      writer.Event({{"event", "mood"}, {"value", "fine"}});
      StepEvent event{step, {}, 0.7, 0.1, 30, 3, 2, 1};
      if (last_stage) event.loss = step == 1 ? 0.1 : NAN;
      writer.Write(event);
      WriteStep(writer, rank, step);
    }
    Done done;
    done.steps = 2;
    done.memory = {{{"parameters", 100}}, 120, 0};
    writer.Write(done);
  }

  std::filesystem::path File(std::int64_t rank, const std::string& name) const {
    return RankFolder(folder_.path(), rank) / name;
  }
  RunEvidence Read() const { return RunEvidence::Read(folder_.path(), request_); }
  std::string ReadRefusal() const {
    return Refusal([&] { Read(); });
  }

  // Reads after one value of a JSON file was replaced, or (discarded) removed.
  std::string RefusalWith(const std::string& file, const std::string& pointer, const json& value) {
    const std::string before = ReadTextFile(File(1, file));
    json object = ParseJson(before, file);
    const json::json_pointer key(pointer);
    if (value.is_discarded()) {
      object[key.parent_pointer()].erase(key.back());
    } else {
      object[key] = value;
    }
    WriteJson(File(1, file), object);
    std::string refusal = ReadRefusal();
    WriteFileWhole(File(1, file), before);
    return refusal;
  }

  std::string RefusalWithEvents(const std::string& text) {
    const std::string before = ReadTextFile(File(3, "events.jsonl"));
    WriteFileWhole(File(3, "events.jsonl"), text);
    std::string refusal = ReadRefusal();
    WriteFileWhole(File(3, "events.jsonl"), before);
    return refusal;
  }

  Scratch folder_;
  Request request_ = SmallRequest();
};

const json kRemoved = json(json::value_t::discarded);

TEST_F(EvidenceTest, IsReadBackAsWritten) {
  const RunEvidence run = Read();
  ASSERT_EQ(run.ranks().size(), 4u);
  const RankEvidence& rank = run.ranks()[3];
  EXPECT_EQ(rank.hello.effective.plan, request_.plan);
  EXPECT_EQ(rank.hello.effective.at, request_.plan.At(3));
  EXPECT_EQ(rank.hello.libraries.at("mpi"), "4.1");
  EXPECT_EQ(rank.micro_batches.at(1).samples, (std::vector<std::int64_t>{6, 7}));
  EXPECT_EQ(rank.steps.at(0).gradient_norm, 0.7);
  EXPECT_EQ(rank.done->memory.categories.at("parameters"), 100);
  EXPECT_EQ(run.Loss(1), 0.1);
  EXPECT_TRUE(std::isnan(run.Loss(2)));
  EXPECT_FALSE(run.ranks()[0].steps.at(0).loss.has_value());
  EXPECT_EQ(run.TensorNames(1), std::vector<std::string>{kTensor});
}

TEST_F(EvidenceTest, GatherPutsSlicesTogether) {
  const std::vector<double> whole = Read().Gather(2, kTensor, kGlobal);
  ASSERT_EQ(whole.size(), 28u);
  for (std::size_t i = 0; i < whole.size(); ++i) EXPECT_EQ(whole[i], static_cast<double>(i));
}

TEST_F(EvidenceTest, WhereSeveralRanksHoldAnElementTheLowestCounts) {
  EvidenceWriter writer(folder_.path(), 0);
  WriteRank(0);
  WriteSafetensors(File(0, StepFileName(1)),
                   {{kTensor, Tensor::FromDoubles(DType::kF64, kGlobal, std::vector<double>(28, -1))}},
                   {{kTensor, SliceToMetadata(Slice::Whole(kGlobal))}});
  EXPECT_EQ(Read().Gather(1, kTensor, kGlobal), std::vector<double>(28, -1));
}

TEST_F(EvidenceTest, GatherNamesTheFirstElementThatNoRankHolds) {
  WriteSafetensors(File(2, StepFileName(1)), {});
  EXPECT_THAT(Refusal([&] { Read().Gather(1, kTensor, kGlobal); }),
              AllOf(HasSubstr(kTensor), HasSubstr("no rank holds element 16")));
  EXPECT_THAT(Refusal([&] { Read().Gather(1, "param/absent", {2}); }), HasSubstr("no rank holds element 0"));
}

TEST_F(EvidenceTest, GatherRefusesSlicesThatDontFit) {
  const auto with = [&](const Shape& shape, const std::string& metadata, DType type = DType::kF32) {
    WriteSafetensors(File(1, StepFileName(1)), {{kTensor, Tensor::Zeros(type, shape)}}, {{kTensor, metadata}});
    return Refusal([&] { Read().Gather(1, kTensor, kGlobal); });
  };
  EXPECT_THAT(with({2, 4}, R"({"global_shape": [7, 4], "offset": [6, 0]})"),
              AllOf(HasSubstr("step_000001.safetensors"), HasSubstr("inside the tensor")));
  EXPECT_THAT(with({2, 4}, R"({"global_shape": [7, 4], "offset": [-1, 0]})"), HasSubstr("inside the tensor"));
  EXPECT_THAT(with({2, 4}, R"({"global_shape": [7, 4], "offset": [0]})"), HasSubstr("inside the tensor"));
  EXPECT_THAT(with({2, 4}, R"({"global_shape": [8, 4], "offset": [2, 0]})"), HasSubstr("is a slice of [8, 4]"));
  EXPECT_THAT(with({2, 4}, R"({"global_shape": [7, 4]})"), HasSubstr("offset: is missing"));
  EXPECT_THAT(with({2, 4}, "{"), HasSubstr("not JSON"));
  EXPECT_THAT(with({2, 4}, R"({"global_shape": [7, 4], "offset": [2, 0]})", DType::kI32), HasSubstr("is I32"));
  WriteSafetensors(File(1, StepFileName(1)), {{kTensor, Tensor::Zeros(DType::kF32, {2, 4})}});
  EXPECT_THAT(Refusal([&] { Read().Gather(1, kTensor, kGlobal); }),
              HasSubstr("__metadata__.param/wte.weight: is missing"));
}

TEST_F(EvidenceTest, MissingFilesAreRefusedByName) {
  for (const std::string name :
       {"hello.json", "events.jsonl", "done.json", "step_000000.safetensors", "step_000002.safetensors"}) {
    std::filesystem::rename(File(2, name), folder_ / "aside");
    EXPECT_THAT(ReadRefusal(), HasSubstr("rank_00002/" + name + ": no such file"));
    std::filesystem::rename(folder_ / "aside", File(2, name));
  }
  std::filesystem::remove_all(RankFolder(folder_.path(), 3));
  EXPECT_THAT(ReadRefusal(), HasSubstr("rank_00003/hello.json: no such file"));
}

TEST_F(EvidenceTest, ARankMoreThanThePlanHasIsRefused) {
  std::filesystem::create_directory(RankFolder(folder_.path(), 4));
  EXPECT_THAT(ReadRefusal(), HasSubstr("rank_00004: no rank of this plan"));
}

TEST_F(EvidenceTest, OnlyStepsThatWereAskedForNeedFiles) {
  request_.evidence.every = 2;
  for (std::int64_t rank = 0; rank < 4; ++rank) std::filesystem::remove(File(rank, StepFileName(1)));
  EXPECT_NO_THROW(Read());
  request_.evidence = {false, false, false, false, true, 1};
  for (std::int64_t rank = 0; rank < 4; ++rank) std::filesystem::remove(File(rank, StepFileName(2)));
  EXPECT_NO_THROW(Read());
}

TEST_F(EvidenceTest, HelloIsHeldToRequestAndFolder) {
  EXPECT_THAT(RefusalWith("hello.json", "/rank", 2), HasSubstr("rank_00001/hello.json: rank: is 2; expected 1"));
  EXPECT_THAT(RefusalWith("hello.json", "/protocol", 3), HasSubstr("hello.json: protocol: is 3"));
  EXPECT_THAT(RefusalWith("hello.json", "/effective/devices", {0, 1}),
              HasSubstr("hello.json: effective.devices: names 2"));
  EXPECT_THAT(RefusalWith("hello.json", "/effective/at/data", 2), HasSubstr("hello.json: effective.at.data: is 2"));
  EXPECT_THAT(RefusalWith("hello.json", "/effective/precision", "fp23"),
              HasSubstr("hello.json: effective.precision: is \"fp23\""));
  EXPECT_THAT(RefusalWith("hello.json", "/device/kind", "cpu"), HasSubstr("hello.json: device.kind: is \"cpu\""));
  EXPECT_THAT(RefusalWith("hello.json", "/pid", "4711"), HasSubstr("hello.json: pid: is \"4711\""));
  EXPECT_THAT(RefusalWith("hello.json", "/colour", 1), HasSubstr("hello.json: colour: unknown key"));
}

TEST_F(EvidenceTest, NothingOfTheEffectivePlanMayBeLeftUnsaid) {
  const json hello = ParseJson(ReadTextFile(File(1, "hello.json")), "hello");
  for (const auto& [key, value] : hello["effective"]["plan"].items()) {
    EXPECT_THAT(RefusalWith("hello.json", "/effective/plan/" + key, kRemoved),
                HasSubstr("hello.json: effective.plan." + key + ": is missing"));
  }
  for (const std::string key : {"plan", "at", "precision", "optimizer", "clip_norm", "devices"}) {
    EXPECT_THAT(RefusalWith("hello.json", "/effective/" + key, kRemoved),
                HasSubstr("hello.json: effective." + key + ": is missing"));
  }
}

TEST_F(EvidenceTest, DoneSaysThatAllWasDone) {
  EXPECT_THAT(RefusalWith("done.json", "/steps", 1), HasSubstr("rank_00001/done.json: steps: is 1; expected 2"));
  EXPECT_THAT(RefusalWith("done.json", "/error", "out of\nmemory"),
              HasSubstr("done.json: error: the rank gave up: out of?memory"));
  EXPECT_THAT(RefusalWith("done.json", "/memory/peak_bytes", -1), HasSubstr("done.json: memory.peak_bytes: is -1"));
  EXPECT_THAT(RefusalWith("done.json", "/idle_seconds", "NaN"), HasSubstr("done.json: idle_seconds: is \"NaN\""));
}

TEST_F(EvidenceTest, EventsAreWholeCompleteAndInOrder) {
  const std::string text = ReadTextFile(File(3, "events.jsonl"));
  std::vector<std::string> lines;  // micro_batch, mood, step, micro_batch, mood, step
  for (std::size_t begin = 0; begin < text.size(); begin = text.find('\n', begin) + 1) {
    lines.push_back(text.substr(begin, text.find('\n', begin) + 1 - begin));
  }
  ASSERT_EQ(lines.size(), 6u);
  const std::string file = "rank_00003/events.jsonl";
  EXPECT_THAT(RefusalWithEvents(text.substr(0, text.size() - 1)), HasSubstr(file + ": ends within a line"));
  EXPECT_THAT(RefusalWithEvents(text.substr(0, text.size() - 9) + "\n"), HasSubstr(file + ":6: not JSON"));
  EXPECT_THAT(RefusalWithEvents(lines[2]), HasSubstr(file + ": ends after step 1; expected steps to 2"));
  EXPECT_THAT(RefusalWithEvents(""), HasSubstr(file + ": ends after step 0"));
  EXPECT_THAT(RefusalWithEvents(lines[5]), HasSubstr(file + ": step 2: is out of order"));
  EXPECT_THAT(RefusalWithEvents(lines[2] + lines[2] + lines[5]), HasSubstr("step 1: is out of order; expected step 2"));
  EXPECT_THAT(RefusalWithEvents(lines[2] + lines[5] + lines[5]), HasSubstr("step 2: is out of order"));
  const auto step = [&](const char* change) {
    json event = json::parse(lines[5]);
    event.merge_patch(json::parse(change));
    return RefusalWithEvents(lines[2] + event.dump() + "\n");
  };
  EXPECT_THAT(step(R"({"loss": null})"), HasSubstr(file + ": step 2.loss: is missing"));
  EXPECT_THAT(step(R"({"gradient_norm": null})"), HasSubstr(file + ": step 2.gradient_norm: is missing"));
  EXPECT_THAT(step(R"({"learning_rate": null})"), HasSubstr(file + ": step 2.learning_rate: is missing"));
  EXPECT_THAT(step(R"({"loss": "low"})"), HasSubstr(file + ":2: loss: is \"low\""));
  EXPECT_THAT(step(R"({"valid_tokens": null})"), HasSubstr(file + ":2: valid_tokens"));
  EXPECT_THAT(step(R"({"los": 1})"), HasSubstr(file + ":2: los: unknown key; expected \"loss\""));
}

TEST_F(EvidenceTest, ResumedRunsBeginAfterTheirCheckpoint) {
  request_.workload.steps = 3;
  request_.checkpoint.resume_from = "x";
  request_.checkpoint.resume_step = 1;
  EXPECT_THAT(ReadRefusal(), HasSubstr("done.json: steps: is 2; expected 3"));
  request_.workload.steps = 2;
  EXPECT_THAT(ReadRefusal(), HasSubstr("step 1: is out of order; expected step 2"));
}

TEST_F(EvidenceTest, AWriterRemovesWhatAnEarlierAttemptLeft) {
  EvidenceWriter writer(folder_.path(), 0);
  EXPECT_FALSE(std::filesystem::exists(File(0, "done.json")));
  EXPECT_FALSE(std::filesystem::exists(File(0, StepFileName(2))));
}

}  // namespace
}  // namespace lockstep::protocol
