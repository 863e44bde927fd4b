#include "harness/checks/support/evidence_view.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "harness/checks/support/verdict.h"
#include "harness/protocol/bad_input.h"

namespace lockstep::checks {

using protocol::BadInput;
using protocol::Parameter;
using protocol::RunEvidence;

namespace {

std::string StepWhere(const RunEvidence& run, std::int64_t step) {
  return run.request().id + ": step " + std::to_string(step);
}

// The global shape that the lowest rank holding a tensor states.
protocol::Shape StatedShape(const RunEvidence& run, std::int64_t step, const std::string& tensor) {
  for (std::size_t r = 0; r < run.ranks().size(); ++r) {
    const auto rank = static_cast<std::int64_t>(r);
    if (run.Step(rank, step).Contains(tensor)) return run.SliceOf(rank, step, tensor).global_shape;
  }
  throw BadInput(StepWhere(run, step) + ": " + tensor, "no rank holds it");
}

}  // namespace

std::vector<Parameter> ParametersOf(const Input& input, const RunEvidence& run) {
  if (input.workload.model.kind != protocol::ModelKind::kOwn) return protocol::Parameters(input.workload.model);
  std::vector<Parameter> parameters;
  if (input.trace.steps.empty()) throw BadInput("trace", "the own model's fp64 run left no step");
  const std::int64_t loaded = run.request().checkpoint.resume_step;
  for (const auto& [name, values] : input.trace.steps.front().parameters) {
    parameters.push_back({name, StatedShape(run, loaded, "param/" + name), false});
  }
  return parameters;
}

std::int64_t FirstStep(const RunEvidence& run) { return run.request().checkpoint.resume_step + 1; }
std::int64_t LastStep(const RunEvidence& run) { return run.request().workload.steps; }

std::vector<std::int64_t> TensorSteps(const RunEvidence& run) {
  std::vector<std::int64_t> steps;
  const std::int64_t every = std::max<std::int64_t>(1, run.request().evidence.every);
  for (std::int64_t s = FirstStep(run); s <= LastStep(run); ++s) {
    if (s % every == 0) steps.push_back(s);
  }
  return steps;
}

std::vector<std::int64_t> TensorStepsWithLoaded(const RunEvidence& run) {
  std::vector<std::int64_t> steps = TensorSteps(run);
  steps.insert(steps.begin(), FirstStep(run) - 1);
  return steps;
}

oracle::Values GatherKind(const RunEvidence& run, std::int64_t step, const std::string& kind,
                          const std::vector<Parameter>& parameters) {
  oracle::Values values;
  for (const Parameter& p : parameters) values[p.name] = run.Gather(step, kind + "/" + p.name, p.shape);
  return values;
}

oracle::Values GatherState(const RunEvidence& run, std::int64_t step, protocol::OptimizerKind kind,
                           const std::vector<Parameter>& parameters) {
  oracle::Values values;
  const std::vector<std::string> written = run.TensorNames(step);
  for (const Parameter& p : parameters) {
    for (const std::string& state : protocol::StateNames(kind)) {
      const std::string tensor = "state/" + p.name + "/" + state;
      const bool absent = std::find(written.begin(), written.end(), tensor) == written.end();
      values[p.name + "/" + state] = step == 0 && absent ? std::vector<double>(static_cast<std::size_t>(p.size()), 0.0)
                                                         : run.Gather(step, tensor, p.shape);
    }
  }
  return values;
}

const protocol::StepEvent& StepEventOf(const RunEvidence& run, std::int64_t rank, std::int64_t step) {
  const protocol::StepEvent* found = nullptr;
  for (const protocol::StepEvent& event : run.ranks().at(static_cast<std::size_t>(rank)).steps) {
    if (event.step != step) continue;
    if (found != nullptr) {
      throw BadInput(StepWhere(run, step) + ": events.jsonl of rank " + std::to_string(rank), "two step events");
    }
    found = &event;
  }
  if (found == nullptr) {
    throw BadInput(StepWhere(run, step) + ": events.jsonl of rank " + std::to_string(rank), "no step event");
  }
  return *found;
}

TensorName ParseTensorName(const std::string& name) {
  TensorName parsed;
  const std::size_t slash = name.find('/');
  parsed.kind = name.substr(0, slash);
  if (slash == std::string::npos) return parsed;
  parsed.parameter = name.substr(slash + 1);
  if (parsed.kind != "state") return parsed;
  const std::size_t last = parsed.parameter.rfind('/');
  if (last == std::string::npos) return parsed;
  parsed.state = parsed.parameter.substr(last + 1);
  parsed.parameter.resize(last);
  return parsed;
}

std::string PhaseOf(const std::string& tensor, std::int64_t step, std::int64_t loaded_step) {
  if (step == loaded_step) return "load";
  const std::string kind = ParseTensorName(tensor).kind;
  if (kind == "grad") return "reduction";
  if (kind == "clipped") return "clip";
  return "optimizer";
}

std::vector<std::string> OrderedTensorNames(const RunEvidence& run, std::int64_t step,
                                            const std::vector<Parameter>& parameters) {
  std::map<std::string, std::size_t> position;
  for (std::size_t i = 0; i < parameters.size(); ++i) position[parameters[i].name] = i;
  const auto key = [&](const std::string& name) {
    const TensorName parsed = ParseTensorName(name);
    const auto found = position.find(parsed.parameter);
    const std::size_t canonical = found == position.end() ? position.size() : found->second;
    const bool copy = parsed.kind == "working";  // rounded from the parameters, so after them
    const std::size_t place = parsed.kind == "grad" ? position.size() - canonical : canonical;
    return std::tuple(PhaseOrder(PhaseOf(name, step, -1)), copy, place, name);
  };
  std::vector<std::string> names = run.TensorNames(step);
  std::sort(names.begin(), names.end(), [&](const std::string& a, const std::string& b) { return key(a) < key(b); });
  return names;
}

}  // namespace lockstep::checks
