#include "suites/unit/trainer/runs.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <map>

#include "harness/inputs/make.h"
#include "harness/oracle/oracle.h"
#include "harness/schedule/generate.h"
#include "reference/backends/kokkos/backend.h"
#include "reference/trainer/training.h"
#include "suites/unit/trainer/thread_world.h"
#include "suites/unit/workloads.h"

namespace lockstep::trainer::testing {

namespace fs = std::filesystem;
namespace kokkos = lockstep::backends::kokkos;

namespace {

class KokkosEnvironment : public ::testing::Environment {
 public:
  void SetUp() override { runtime_ = std::make_unique<kokkos::Runtime>(); }
  void TearDown() override { runtime_.reset(); }

 private:
  std::unique_ptr<kokkos::Runtime> runtime_;
};
[[maybe_unused]] const auto* const environment = ::testing::AddGlobalTestEnvironment(new KokkosEnvironment);

// Every tensor that a step has, with its global shape.
std::map<std::string, protocol::Shape> TensorsOf(const protocol::Workload& workload) {
  std::map<std::string, protocol::Shape> tensors;
  for (const protocol::Parameter& parameter : protocol::Parameters(workload.model)) {
    for (const char* prefix : {"grad/", "clipped/", "param/"}) tensors[prefix + parameter.name] = parameter.shape;
    for (const std::string& state : protocol::StateNames(workload.optimizer.kind)) {
      tensors["state/" + parameter.name + "/" + state] = parameter.shape;
    }
  }
  return tensors;
}

const std::vector<double>& OracleTensor(const oracle::TraceStep& step, const std::string& name) {
  const std::string key = name.substr(name.find('/') + 1);
  if (name.starts_with("grad/")) return step.gradients.at(key);
  if (name.starts_with("clipped/")) return step.clipped.at(key);
  if (name.starts_with("param/")) return step.parameters.at(key);
  return step.state.at(key);
}

double RelativeError(const std::vector<double>& x, const std::vector<double>& reference) {
  double difference = 0, size = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    difference += (x[i] - reference[i]) * (x[i] - reference[i]);
    size += reference[i] * reference[i];
  }
  return std::sqrt(difference / size);
}

}  // namespace

protocol::Workload Gpt() {
  return unit::UnevenWorkload({.kind = protocol::ModelKind::kGpt,
                               .layers = 3,
                               .width = 12,
                               .heads = 3,
                               .mlp_width = 25,
                               .vocabulary = 31,
                               .sequence = 7,
                               .tied = true},
                              7);
}

protocol::Workload Mlp() {
  protocol::Workload workload;
  workload.model.kind = protocol::ModelKind::kMlp;
  workload.model.sizes = {7, 13, 11, 9, 8, 3};
  workload.global_batch = 9;
  workload.steps = 3;
  return workload;
}

protocol::Request RequestOf(const protocol::Workload& workload, const std::string& plan) {
  protocol::Request request;
  request.id = plan;
  request.workload = workload;
  if (plan != "single") request.plan = protocol::ParsePlan(plan);
  protocol::Validate(request.plan, workload, plan);
  request.schedule = schedule::Generate(request.plan);
  return request;
}

protocol::Request RequestOf(const protocol::Workload& workload, const std::string& plan,
                            const std::vector<std::string>& lines,
                            const std::vector<std::vector<std::int64_t>>& placement) {
  protocol::Request request;
  request.id = plan;
  request.workload = workload;
  if (plan != "single") request.plan = protocol::ParsePlan(plan);
  request.schedule = {"written", request.plan.Stages(), request.plan.micro_batches, {}, placement};
  for (const std::string& line : lines) request.schedule.ranks.push_back(protocol::ParseActions(line, plan));
  return request;
}

Runs::Runs() {
  std::string name = (fs::temp_directory_path() / "lockstep_trainer_XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
  folder_ = name;
}

Runs::~Runs() { fs::remove_all(folder_); }

protocol::RunEvidence Runs::Run(const std::string& name, const protocol::Request& request) {
  Seams seams;
  return Run(name, request, seams);
}

protocol::RunEvidence Runs::Run(const std::string& name, const protocol::Request& request, Seams& seams) {
  const fs::path folder = fs::path(folder_) / name;
  fs::create_directories(folder);
  protocol::WriteRequest(folder, request);
  protocol::WriteInputs(folder, inputs::Make(request.workload));
  const protocol::Inputs inputs = protocol::ReadInputs(folder, request.workload);
  ThreadWorld world(static_cast<int>(request.plan.WorldSize()));
  world.Run([&](device::Communicator& communicator) {
    const auto device = kokkos::MakeDevice(0, communicator.Rank());
    Training training(*device, communicator, seams, request, inputs, folder, {"test", "0"});
    training.Run();
  });
  return protocol::RunEvidence::Read(folder, request);
}

std::string FirstDifference(const protocol::RunEvidence& a, const protocol::RunEvidence& b, std::int64_t first_step) {
  const protocol::Workload& workload = a.request().workload;
  for (std::int64_t step = first_step; step <= workload.steps; ++step) {
    if (a.Loss(step) != b.Loss(step)) return "loss of step " + std::to_string(step);
    for (const auto& [name, shape] : TensorsOf(workload)) {
      const auto x = a.Gather(step, name, shape), y = b.Gather(step, name, shape);
      if (std::memcmp(x.data(), y.data(), x.size() * sizeof(double)) != 0) {
        return name + " of step " + std::to_string(step);
      }
    }
    const auto norm = [&](const protocol::RunEvidence& run) {
      for (const protocol::StepEvent& event : run.ranks().front().steps) {
        if (event.step == step) return event.gradient_norm.value();
      }
      return std::nan("");
    };
    if (norm(a) != norm(b)) return "gradient norm of step " + std::to_string(step);
  }
  return "";
}

double LargestError(const protocol::RunEvidence& run, const std::string& request_folder) {
  const protocol::Workload& workload = run.request().workload;
  const oracle::Trace trace = oracle::Train(workload, protocol::ReadInputs(request_folder, workload));
  double largest = 0;
  const auto see = [&](double error) {
    if (!(error <= largest)) largest = error;
  };
  for (std::int64_t step = run.request().checkpoint.resume_step + 1; step <= workload.steps; ++step) {
    const oracle::TraceStep& reference = trace.steps[static_cast<std::size_t>(step)];
    see(std::abs(run.Loss(step) - reference.loss) / reference.loss);
    for (const auto& [name, shape] : TensorsOf(workload)) {
      see(RelativeError(run.Gather(step, name, shape), OracleTensor(reference, name)));
    }
    for (const protocol::RankEvidence& rank : run.ranks()) {
      for (const protocol::StepEvent& event : rank.steps) {
        if (event.step != step) continue;
        see(std::abs(event.gradient_norm.value() - reference.gradient_norm) / reference.gradient_norm);
      }
    }
  }
  return largest;
}

}  // namespace lockstep::trainer::testing
