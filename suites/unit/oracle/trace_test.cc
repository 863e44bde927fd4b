// Whole traces, and the cache that keeps them.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "harness/protocol/bad_input.h"
#include "harness/protocol/safetensors.h"
#include "suites/unit/oracle/small_workloads.h"

namespace lockstep::oracle {
namespace {

void ExpectSame(const Trace& a, const Trace& b) {
  ASSERT_EQ(a.steps.size(), b.steps.size());
  for (std::size_t s = 0; s < a.steps.size(); ++s) {
    EXPECT_EQ(a.steps[s].loss, b.steps[s].loss);
    EXPECT_EQ(a.steps[s].gradient_norm, b.steps[s].gradient_norm);
    EXPECT_EQ(a.steps[s].learning_rate, b.steps[s].learning_rate);
    EXPECT_EQ(a.steps[s].valid_tokens, b.steps[s].valid_tokens);
    EXPECT_EQ(a.steps[s].gradients, b.steps[s].gradients);
    EXPECT_EQ(a.steps[s].clipped, b.steps[s].clipped);
    EXPECT_EQ(a.steps[s].parameters, b.steps[s].parameters);
    EXPECT_EQ(a.steps[s].state, b.steps[s].state);
  }
}

protocol::Workload AdamGpt() {
  protocol::Workload workload = SmallGpt(true, 0.1);
  workload.optimizer.kind = protocol::OptimizerKind::kAdamW;
  workload.optimizer.learning_rate = 0.01;
  workload.optimizer.clip_norm = 0.5;
  return workload;
}

TEST(Train, BeginsWithTheInitialStateAndKeepsEveryStep) {
  const protocol::Workload workload = AdamGpt();
  const protocol::Inputs inputs = inputs::Make(workload);
  const Trace trace = Train(workload, inputs);
  ASSERT_EQ(trace.steps.size(), 4u);
  EXPECT_EQ(trace.steps[0].parameters, InitialParameters(inputs));
  EXPECT_EQ(trace.steps[0].state.at("wpe.weight/exp_avg"), std::vector<double>(30, 0.0));
  EXPECT_EQ(trace.steps[0].state.size(), 2 * trace.steps[0].parameters.size());
  for (std::size_t s = 1; s <= 3; ++s) {
    const TraceStep again =
        LossAndGradients(workload, inputs, trace.steps[s - 1].parameters, static_cast<std::int64_t>(s));
    EXPECT_EQ(trace.steps[s].loss, again.loss);
    EXPECT_EQ(trace.steps[s].gradients, again.gradients);
    EXPECT_NE(trace.steps[s].parameters, trace.steps[s - 1].parameters);
  }
}

TEST(Train, LearnsARepeatedBatch) {
  protocol::Workload workload = AdamGpt();
  workload.model.dropout = 0;
  workload.data.samples = 3;
  workload.data.epochs = true;
  workload.steps = 60;
  const Trace trace = Train(workload, inputs::Make(workload));
  EXPECT_LT(trace.steps.back().loss, trace.steps[1].loss / 4);
}

TEST(Train, RefusesAMissingParameter) {
  const protocol::Workload workload = AdamGpt();
  protocol::Inputs inputs = inputs::Make(workload);
  inputs.parameters.erase("ln_f.bias");
  EXPECT_THROW(Train(workload, inputs), protocol::BadInput);
}

class Cache : public testing::Test {
 protected:
  Cache()
      : folder(std::filesystem::path(testing::TempDir()) /
               (std::string("oracle_") + testing::UnitTest::GetInstance()->current_test_info()->name())) {
    std::filesystem::remove_all(folder);
  }
  ~Cache() override { std::filesystem::remove_all(folder); }
  std::vector<std::filesystem::path> Files() const {
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) files.push_back(entry.path());
    return files;
  }

  std::filesystem::path folder;
  protocol::Workload workload = AdamGpt();
  protocol::Inputs inputs = inputs::Make(workload);
};

// Rewrites the cached trace with one loss changed; `digest` says which content the file claims to hold.
void Forge(const std::filesystem::path& path, bool right_digest) {
  std::map<std::string, protocol::Tensor> tensors;
  std::map<std::string, std::string> metadata;
  {
    const protocol::SafetensorsFile file = protocol::SafetensorsFile::Open(path);
    for (const auto& [name, entry] : file.entries()) tensors[name] = file.Load(name);
    metadata = file.metadata();
  }
  tensors.at("1/scalars/loss_norm_rate_valid").As<double>()[0] = 12345;
  if (right_digest) {
    protocol::Inputs content;
    content.data = tensors;
    metadata["digest"] = protocol::HashInputs(content);
  }
  protocol::WriteSafetensors(path, tensors, metadata);
}

TEST_F(Cache, GivesBackEveryBit) {
  ExpectSame(TrainCached(workload, inputs, folder), Train(workload, inputs));
  ASSERT_EQ(Files().size(), 1u);
  ExpectSame(TrainCached(workload, inputs, folder), Train(workload, inputs));
  EXPECT_EQ(Files().size(), 1u);
}

TEST_F(Cache, IsReadTheSecondTime) {
  TrainCached(workload, inputs, folder);
  Forge(Files().at(0), true);
  EXPECT_EQ(TrainCached(workload, inputs, folder).steps[1].loss, 12345);
}

TEST_F(Cache, RecomputesWhatDoesNotMatchItsDigest) {
  TrainCached(workload, inputs, folder);
  Forge(Files().at(0), false);
  ExpectSame(TrainCached(workload, inputs, folder), Train(workload, inputs));
  Forge(Files().at(0), false);  // still readable: it was written anew
}

TEST_F(Cache, RecomputesATornFile) {
  TrainCached(workload, inputs, folder);
  const std::filesystem::path file = Files().at(0);
  const auto size = std::filesystem::file_size(file);
  for (const auto cut : {size - 1, size / 2, std::uintmax_t{4}, std::uintmax_t{0}}) {
    std::filesystem::resize_file(file, cut);
    ExpectSame(TrainCached(workload, inputs, folder), Train(workload, inputs));
    EXPECT_EQ(std::filesystem::file_size(file), size);
  }
}

TEST_F(Cache, KeepsTracesOfOtherWorkloadsAndInputsApart) {
  TrainCached(workload, inputs, folder);
  protocol::Workload other = workload;
  other.optimizer.beta1 = 0.8;
  TrainCached(other, inputs, folder);
  other = workload;
  other.steps = 2;
  TrainCached(other, inputs, folder);
  other = workload;
  other.seed = 6;  // the inputs stay: only dropout's masks change
  TrainCached(other, inputs, folder);
  protocol::Inputs changed = inputs;
  changed.parameters.at("ln_f.bias").As<double>()[0] += 1;
  TrainCached(workload, changed, folder);
  EXPECT_EQ(Files().size(), 5u);
}

TEST_F(Cache, SharesATraceBetweenPrecisionsThatTrainTheSameNumbers) {
  TrainCached(workload, inputs, folder);
  protocol::Workload other = workload;
  other.precision = protocol::Precision::kF64;
  TrainCached(other, inputs, folder);
  EXPECT_EQ(Files().size(), 1u);
}

TEST_F(Cache, IsSafeForManyAtOnce) {
  const Trace expected = Train(workload, inputs);
  std::vector<Trace> traces(6);
  std::vector<std::thread> threads;
  for (Trace& trace : traces) threads.emplace_back([&] { trace = TrainCached(workload, inputs, folder); });
  for (std::thread& thread : threads) thread.join();
  for (const Trace& trace : traces) ExpectSame(trace, expected);
  EXPECT_EQ(Files().size(), 1u);  // no temporary file stays behind
}

}  // namespace
}  // namespace lockstep::oracle
