#include "suites/unit/checks/scene.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <stdexcept>

#include "harness/checks/support/replay.h"
#include "harness/inputs/make.h"
#include "harness/oracle/optimizer.h"
#include "harness/protocol/parameters.h"
#include "harness/schedule/generate.h"
#include "suites/unit/workloads.h"

namespace lockstep::checks {

namespace {

using protocol::DType;
using protocol::Slice;
using protocol::Tensor;

double Float(double value) { return static_cast<double>(static_cast<float>(value)); }

void RoundAll(oracle::Values& values) {
  for (auto& [name, v] : values) {
    for (double& x : v) x = Float(x);
  }
}

// A few units of fp32 round-off, relative to each element and to the tensor's typical size, as sums have it.
void AddNoise(oracle::Values& values, std::mt19937_64& random) {
  std::normal_distribution<double> normal;
  for (auto& [name, v] : values) {
    double size = 0;
    for (const double x : v) size += x * x;
    size = std::sqrt(size / static_cast<double>(v.size()));
    for (double& x : v) x = Float(x + 0x1p-24 * (2 * std::fabs(x) + (x == 0 ? 0 : size)) * normal(random));
  }
}

// What a rank holds: layers of its stage (tied embeddings on first and last), weights split by rows over tensor ranks.
bool Holds(const std::string& name, const protocol::Model& model, const protocol::Plan& plan,
           std::int64_t pipeline_rank) {
  const auto partition = protocol::StagePartition(plan, model);
  const bool first = pipeline_rank == 0, last = pipeline_rank + 1 == plan.pipeline;
  if (name == "wte.weight") return first || (last && model.tied);
  if (name == "wpe.weight") return first;
  if (name.starts_with("ln_f") || name == "head.weight") return last;
  std::int64_t unit = std::stoll(name.substr(name.find('.') + 1)), stage = 0;
  while (unit >= partition[static_cast<std::size_t>(stage)]) unit -= partition[static_cast<std::size_t>(stage++)];
  return stage == pipeline_rank;
}

Slice SliceFor(const protocol::Parameter& p, const protocol::Plan& plan, std::int64_t tensor_rank) {
  Slice slice = Slice::Whole(p.shape);
  if (p.shape.size() < 2 || plan.tensor == 1) return slice;
  const protocol::Run run = protocol::Split(p.shape[0], plan.tensor, tensor_rank);
  slice.offset[0] = run.begin;
  slice.shape[0] = run.size;
  return slice;
}

void WriteTensors(protocol::EvidenceWriter& writer, std::int64_t rank, std::int64_t step, bool loaded,
                  const oracle::TraceStep& held, const protocol::Workload& workload, const protocol::Plan& plan,
                  const Mutations& mutations) {
  Mutations::Tensors tensors;
  Mutations::Slices slices;
  const protocol::Coordinates at = plan.At(rank);
  for (const protocol::Parameter& p : protocol::Parameters(workload.model)) {
    if (!Holds(p.name, workload.model, plan, at.pipeline)) continue;
    const Slice slice = SliceFor(p, plan, at.tensor);
    const auto add = [&](const std::string& name, const std::vector<double>& values, DType type) {
      tensors[name] = protocol::Extract(Tensor::FromDoubles(type, p.shape, values), slice);
      slices[name] = slice;
    };
    add("param/" + p.name, held.parameters.at(p.name), DType::kF32);
    if (workload.precision == protocol::Precision::kBF16) {
      add("working/" + p.name, held.parameters.at(p.name), DType::kBF16);
    }
    for (const std::string& state : protocol::StateNames(workload.optimizer.kind)) {
      add("state/" + p.name + "/" + state, held.state.at(p.name + "/" + state), DType::kF32);
    }
    if (loaded) continue;
    add("grad/" + p.name, held.gradients.at(p.name), DType::kF32);
    add("clipped/" + p.name, held.clipped.at(p.name), DType::kF32);
  }
  if (mutations.tensors) mutations.tensors(rank, step, tensors, slices);
  writer.WriteStep(step, tensors, slices);
}

}  // namespace

Scene::Scene(protocol::Workload w, protocol::Plan p) : workload(std::move(w)), plan(std::move(p)) {
  static int number = 0;
  folder_ = std::filesystem::temp_directory_path() /
            ("lockstep_checks_" + std::to_string(std::random_device{}()) + "_" + std::to_string(number++));
  inputs = inputs::Make(workload);
  trace = oracle::Train(workload, inputs);
}

Scene::~Scene() {
  runs_.clear();
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

const protocol::RunEvidence* Scene::Make(const protocol::Plan& run_plan, std::uint64_t noise_seed,
                                         const Mutations& mutations, const protocol::CheckpointWanted& checkpoint,
                                         const oracle::TraceStep* loaded) {
  std::mt19937_64 random(noise_seed);
  held_.assign(1, {});
  if (loaded != nullptr) held_.assign(static_cast<std::size_t>(checkpoint.resume_step + 1), *loaded);
  if (loaded == nullptr) {
    held_[0] = trace.steps[0];
    RoundAll(held_[0].parameters);
    if (mutations.after_update) mutations.after_update(0, held_[0]);
  }
  for (std::int64_t s = checkpoint.resume_step + 1; s <= workload.steps; ++s) {
    oracle::TraceStep step = oracle::LossAndGradients(workload, inputs, held_.back().parameters, s);
    AddNoise(step.gradients, random);
    if (mutations.before_update) mutations.before_update(s, step);
    step.gradient_norm = oracle::GlobalNorm(workload.model, step.gradients);
    oracle::Update(workload, held_.back(), s, step);
    step.loss = Float(step.loss * (1 + 0x1p-24 * std::normal_distribution<double>()(random)));
    if (mutations.after_update) mutations.after_update(s, step);
    for (oracle::Values* values : {&step.clipped, &step.parameters, &step.state}) RoundAll(*values);
    held_.push_back(std::move(step));
  }

  protocol::Request request;
  request.id = "scene";
  request.workload = workload;
  request.plan = run_plan;
  request.schedule = schedule::Generate(run_plan);
  request.checkpoint = checkpoint;
  const std::filesystem::path folder = folder_ / std::to_string(runs_.size());
  for (std::int64_t rank = 0; rank < run_plan.WorldSize(); ++rank) WriteRank(folder, request, rank, mutations);
  runs_.push_back(std::make_unique<protocol::RunEvidence>(protocol::RunEvidence::Read(folder, request)));
  return runs_.back().get();
}

void Scene::WriteRank(const std::filesystem::path& folder, const protocol::Request& request, std::int64_t rank,
                      const Mutations& mutations) const {
  const protocol::Plan& run_plan = request.plan;
  const protocol::CheckpointWanted& checkpoint = request.checkpoint;
  protocol::EvidenceWriter writer(folder, rank);
  protocol::Hello hello{rank, run_plan.WorldSize(), 100 + rank, "host", "host", "cpu", "scene", "1", {}, {}, {}};
  hello.effective = {
      run_plan, run_plan.At(rank), workload.precision, workload.optimizer.kind, workload.optimizer.clip_norm, {}};
  for (std::int64_t d = 0; d < run_plan.WorldSize(); ++d) hello.effective.devices.push_back(d);
  if (mutations.hello) mutations.hello(rank, hello);
  writer.Write(hello);
  std::vector<protocol::MicroBatchEvent> ledger;
  for (std::int64_t s = checkpoint.resume_step + 1; s <= workload.steps; ++s) {
    const auto batch = protocol::BatchSamples(inputs.data.at("order"), s);
    for (std::int64_t m = 0; m < run_plan.micro_batches; ++m) {
      const auto run =
          protocol::MicroBatchRun(static_cast<std::int64_t>(batch.size()), run_plan, run_plan.At(rank).data, m);
      protocol::MicroBatchEvent event{s, m, {batch.begin() + run.begin, batch.begin() + run.begin + run.size}, 0};
      for (const std::int64_t sample : event.samples) event.valid_tokens += ValidTargets(workload, inputs, sample);
      ledger.push_back(event);
    }
  }
  if (mutations.ledger) mutations.ledger(rank, ledger);
  for (const auto& event : ledger) writer.Write(event);
  for (std::int64_t s = checkpoint.resume_step; s <= workload.steps; ++s) {
    const oracle::TraceStep& step = held_.at(static_cast<std::size_t>(s));
    WriteTensors(writer, rank, s, s == checkpoint.resume_step, step, workload, run_plan, mutations);
    if (s == checkpoint.resume_step) continue;
    protocol::StepEvent event;
    event.step = s;
    if (run_plan.At(rank).pipeline + 1 == run_plan.pipeline) event.loss = step.loss;
    event.gradient_norm = Float(step.gradient_norm);
    event.learning_rate = Float(step.learning_rate);
    event.valid_tokens = trace.steps.at(static_cast<std::size_t>(s)).valid_tokens;
    if (mutations.step_event) mutations.step_event(rank, event);
    writer.Write(event);
  }
  protocol::Done done;
  done.steps = workload.steps;
  writer.Write(done);
}

const protocol::RunEvidence* Scene::Single() {
  if (single_ == nullptr) {
    protocol::Plan alone;
    alone.micro_batches = plan.micro_batches;
    single_ = Make(alone, 2);
  }
  return single_;
}

protocol::CheckResult Scene::Judge(const std::string& check, Runs runs) {
  if (runs.single == nullptr) runs.single = Single();
  for (const Check* known : AllChecks()) {
    if (known->name == check) return known->run({workload, plan, inputs, trace, runs});
  }
  throw std::logic_error("no check " + check);
}

protocol::CheckResult Scene::Judge(const std::string& check, const Mutations& mutations) {
  Runs runs;
  runs.candidate = Candidate(mutations);
  return Judge(check, runs);
}

protocol::Workload MlpWorkload() {
  return unit::UnevenWorkload({.kind = protocol::ModelKind::kMlp,
                               .sizes = {6, 11, 9, 5},
                               .activation = protocol::Activation::kGelu,
                               .loss = protocol::LossKind::kCrossEntropy},
                              14);
}

protocol::Workload UnevenGptWorkload() {
  return unit::UnevenWorkload({.kind = protocol::ModelKind::kGpt,
                               .layers = 2,
                               .width = 8,
                               .heads = 2,
                               .mlp_width = 16,
                               .vocabulary = 13,
                               .sequence = 6,
                               .tied = true},
                              9);
}

protocol::Plan PlanOf(const std::string& text) { return protocol::ParsePlan(text); }

void FlipBit(Tensor& tensor, std::size_t element) {
  tensor.bytes.at(element * protocol::SizeOf(tensor.dtype)) ^= std::byte{1};
}
void SetFloat(Tensor& tensor, std::size_t element, float value) { tensor.As<float>()[element] = value; }

}  // namespace lockstep::checks
