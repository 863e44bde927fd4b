// PyTorch in fp64 on one process against the oracle: two implementations of PROTOCOL.md that share no line must agree
// to fp64's round-off, on the inputs of every conformance case.
//
// What a case lays out over ranks is left out here: this is about models, losses, optimizers and data. Every workload
// is trained with its own data, in fp64, as one micro-batch and as three; losses and gradients of every step are
// compared, each step's gradients as a share of that tensor's norm (or of a thousandth of the whole gradient's, for
// tensors whose gradient is zero but for rounding, such as the bias of the keys).
#include "harness/oracle/oracle.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <set>

#include "harness/conform/case.h"
#include "harness/inputs/make.h"
#include "harness/launch/launch.h"
#include "harness/protocol/evidence.h"
#include "harness/protocol/manifest.h"
#include "harness/schedule/generate.h"

namespace lockstep::adapters {
namespace {

// The worst of all cases was 3.8e-14 (its fourth step; first steps stay below 1e-15); a wrong formula is above 1e-3.
constexpr double kBound = 1e-12;

struct Trained {
  protocol::Request request;
  protocol::Inputs inputs;
  std::filesystem::path folder;
};

// The distinct workloads of all cases, in fp64.
std::vector<protocol::Workload> Workloads() {
  std::vector<protocol::Workload> workloads;
  std::set<std::string> seen;
  for (conform::Case each : conform::AllCases(LOCKSTEP_SOURCE_DIR "/suites")) {
    each.workload.precision = protocol::Precision::kF64;
    protocol::Data& data = each.workload.data;
    if (data.kind == protocol::DataKind::kFile && data.file.empty()) {
      data.file = inputs::DefaultText(launch::CacheFolder());
    }
    if (seen.insert(protocol::WorkloadToJson(each.workload).dump()).second) workloads.push_back(each.workload);
  }
  return workloads;
}

Trained Prepare(const protocol::Workload& workload, std::int64_t micro_batches, const std::filesystem::path& folder) {
  Trained run;
  run.request.id = folder.filename();
  run.request.workload = workload;
  run.request.plan.micro_batches = micro_batches;
  run.request.schedule = schedule::Generate(run.request.plan);
  run.inputs = inputs::Make(workload);
  run.folder = folder;
  std::filesystem::create_directories(folder);
  protocol::WriteRequest(folder, run.request);
  protocol::WriteInputs(folder, run.inputs);
  return run;
}

double Norm(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value * value;
  return std::sqrt(sum);
}

double Distance(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<double> difference(b.size());
  for (std::size_t i = 0; i < b.size(); ++i) difference[i] = a[i] - b[i];
  return Norm(difference);
}

// Largest error over all steps, as a share; gradients of `compared` elements are in it.
double WorstError(const Trained& run, std::size_t& compared) {
  const auto evidence = protocol::RunEvidence::Read(run.folder, run.request);
  const oracle::Trace trace = oracle::TrainCached(run.request.workload, run.inputs, launch::CacheFolder() / "oracle");
  double worst = 0;
  const auto take = [&worst](double error) { worst = !(error <= worst) ? error : worst; };  // a NaN stays
  for (std::int64_t step = 1; step <= run.request.workload.steps; ++step) {
    const oracle::TraceStep& right = trace.steps.at(static_cast<std::size_t>(step));
    take(std::abs(evidence.Loss(step) - right.loss) / std::max(1.0, std::abs(right.loss)));
    for (const auto& [name, gradient] : right.gradients) {
      const protocol::Shape shape = run.inputs.parameters.at(name).shape;
      const std::vector<double> theirs = evidence.Gather(step, "grad/" + name, shape);
      EXPECT_EQ(theirs.size(), gradient.size()) << name;
      compared += theirs.size();
      const double size = std::max(Norm(gradient), 1e-3 * right.gradient_norm);
      if (size > 0) take(Distance(theirs, gradient) / size);
    }
  }
  return worst;
}

TEST(PyTorchInFp64, IsTheOracleToRoundOffOnTheInputsOfEveryCase) {
  const std::filesystem::path root = std::filesystem::path(LOCKSTEP_BINARY_DIR) / "adapters_oracle";
  std::filesystem::remove_all(root);
  std::vector<Trained> runs;
  for (const protocol::Workload& workload : Workloads()) {
    for (const std::int64_t micro_batches : {1, 3}) {
      runs.push_back(Prepare(workload, micro_batches, root / ("run_" + std::to_string(runs.size()))));
    }
  }
  launch::Job job;
  for (const Trained& run : runs) job.requests.push_back(run.folder);
  job.limits.total_seconds = 600;
  const auto manifest = protocol::ReadManifest(LOCKSTEP_SOURCE_DIR "/reference/adapters/pytorch_ddp/trainer.toml");
  job.limits.start_seconds = manifest.start_seconds;
  const auto ends = launch::Launch(manifest, job);
  ASSERT_EQ(ends.size(), runs.size());
  std::set<protocol::ModelKind> models;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    SCOPED_TRACE(protocol::RequestToJson(runs[i].request).dump());
    ASSERT_EQ(ends[i].kind, launch::EndKind::kDone) << ends[i].reason;
    std::size_t compared = 0;
    EXPECT_LE(WorstError(runs[i], compared), kBound);
    EXPECT_GT(compared, 0u);
    models.insert(runs[i].request.workload.model.kind);
  }
  EXPECT_EQ(models.size(), 2u) << "both models";
  EXPECT_GE(runs.size(), 40u);
}

}  // namespace
}  // namespace lockstep::adapters
