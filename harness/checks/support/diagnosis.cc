#include "harness/checks/support/diagnosis.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "harness/checks/support/tolerance.h"

namespace lockstep::checks {

namespace {

struct Factor {
  double value;
  std::string words;
};

std::vector<Factor> Factors(const protocol::Plan& plan, const StepCounts& counts) {
  std::vector<Factor> factors;
  const auto degree = [&](std::int64_t n, const std::string& name, const std::string& over, const std::string& under) {
    if (n < 2) return;
    factors.push_back({static_cast<double>(n), name + ": " + over});
    factors.push_back({1.0 / static_cast<double>(n), "1 / " + name + ": " + under});
  };
  degree(plan.data, "data-parallel degree", "summed, not averaged", "averaged once too often");
  degree(plan.micro_batches, "number of micro-batches", "accumulated and not divided", "divided once too often");
  degree(plan.tensor, "tensor-parallel degree", "counted by each tensor rank", "divided once too often");
  degree(plan.pipeline, "pipeline degree", "counted by each stage", "divided once too often");
  degree(plan.WorldSize(), "world size", "summed over all ranks", "averaged over all ranks");
  if (plan.micro_batches > 1) {
    const double m = static_cast<double>(plan.micro_batches);
    factors.push_back(
        {(m - 1) / m, fmt::format("{0} of {1} micro-batches", plan.micro_batches - 1, plan.micro_batches)});
  }
  const auto n = static_cast<double>(counts.valid), b = static_cast<double>(counts.batch);
  if (n > 0 && b > 0) {
    factors.push_back({n, "number of valid targets: not divided by it"});
    factors.push_back({n / b, "valid targets / samples: divided by samples"});
    factors.push_back({b, "number of samples: not divided by it"});
    factors.push_back({1 / b, "1 / samples: divided by the batch once too often"});
  }
  for (const std::int64_t local : counts.valid_of_replica) {
    if (local == 0 || local == counts.valid) continue;
    const double l = static_cast<double>(local);
    factors.push_back({n / l, fmt::format("{:.0f} / {} valid targets: divided by one replica's count", n, local)});
    factors.push_back({l / n, fmt::format("{} / {:.0f} valid targets: one replica's share", local, n)});
  }
  return factors;
}

bool ReplicatedOverTensorRanks(const std::string& name) {
  return name.find("ln_") != std::string::npos || name == "wpe.weight" || name.ends_with("proj.bias");
}
bool IsNorm(const std::string& name) { return name.find("ln_") != std::string::npos; }

std::string Join(const std::vector<std::string>& names, std::size_t most = 3) {
  const std::vector<std::string> some(names.begin(),
                                      names.begin() + static_cast<std::ptrdiff_t>(std::min(names.size(), most)));
  const std::size_t rest = names.size() - some.size();
  return fmt::format("{}", fmt::join(some, ", ")) + (rest > 0 ? fmt::format(" and {} more", rest) : "");
}

// The stage on which the wrong tensors stand; -1 when they are on several.
std::int64_t OnlyStage(const std::vector<std::string>& wrong, const protocol::Model& model,
                       const protocol::Plan& plan) {
  if (model.kind == protocol::ModelKind::kOwn || plan.Stages() < 2) return -1;
  const std::int64_t only = StageOf(wrong.front(), model, plan);
  const bool all = std::all_of(wrong.begin(), wrong.end(),
                               [&](const std::string& name) { return StageOf(name, model, plan) == only; });
  return all ? only : -1;
}

}  // namespace

std::int64_t StageOf(const std::string& parameter, const protocol::Model& model, const protocol::Plan& plan) {
  if (parameter == "wte.weight" && model.tied) return -1;
  const std::int64_t last = plan.Stages() - 1;
  if (parameter.starts_with("ln_f") || parameter == "head.weight") return last;
  if (!parameter.starts_with("h.") && !parameter.starts_with("layers.")) return 0;
  const std::vector<std::int64_t> partition = protocol::StagePartition(plan, model);
  std::int64_t unit = std::stoll(parameter.substr(parameter.find('.') + 1)), stage = 0;
  while (stage < last && unit >= partition[static_cast<std::size_t>(stage)]) {
    unit -= partition[static_cast<std::size_t>(stage++)];
  }
  return stage;
}

std::string ScaleWords(const std::string& what, double alpha, double rho, double typical_noise,
                       const protocol::Plan& plan, const StepCounts& counts) {
  if (!std::isfinite(alpha) || !std::isfinite(rho)) return what + " are not finite";
  if (!IsScaleOnly(alpha, rho, typical_noise)) return "";
  std::string names;
  int named = 0;  // degrees come before counts: the first two are enough
  for (const Factor& factor : Factors(plan, counts)) {
    if (named == 2 || !IsFactor(alpha, factor.value, typical_noise)) continue;
    ++named;
    names += (names.empty() ? " = " : ", or = ") + factor.words;
  }
  return fmt::format("{} x {:.3f}{}", what, alpha, names);
}

std::string FirstInBackwardOrder(const std::vector<std::string>& wrong,
                                 const std::vector<protocol::Parameter>& parameters) {
  for (auto p = parameters.rbegin(); p != parameters.rend(); ++p) {
    if (std::find(wrong.begin(), wrong.end(), p->name) != wrong.end()) return p->name;
  }
  return wrong.empty() ? "" : wrong.front();
}

std::string SetWords(const std::vector<std::string>& wrong, const std::vector<protocol::Parameter>& parameters,
                     const protocol::Workload& workload, const protocol::Plan& plan, bool loss_is_right) {
  if (wrong.empty()) return "";
  std::string words = wrong.size() == parameters.size()
                          ? fmt::format("all {} tensors are wrong", wrong.size())
                          : fmt::format("{} of {} tensors are wrong: {}", wrong.size(), parameters.size(), Join(wrong));
  const std::string first = FirstInBackwardOrder(wrong, parameters);
  const bool gpt = workload.model.kind == protocol::ModelKind::kGpt;
  if (wrong.size() < parameters.size()) words += fmt::format(" (first in backward order: {})", first);
  if (gpt && plan.tensor > 1 && std::all_of(wrong.begin(), wrong.end(), ReplicatedOverTensorRanks)) {
    words += ": all of them are replicated over tensor ranks, so their gradients are not reduced over these";
  } else if (gpt && plan.tensor > 1 && loss_is_right && IsNorm(first) && first.ends_with(".bias")) {
    words += fmt::format(
        ": everything from {} downwards, so the input gradient of the column-parallel layer after it is"
        " not reduced over tensor ranks",
        first);
  } else if (workload.model.dropout > 0 && plan.recompute && loss_is_right) {
    words += ": the loss is right, so the recomputation may have drawn other dropout masks";
  } else if (const std::int64_t stage = OnlyStage(wrong, workload.model, plan); stage >= 0) {
    words += fmt::format(": all of them stand on pipeline stage {}", stage);
  }
  return words;
}

}  // namespace lockstep::checks
