#include "harness/checks/support/verdict.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "harness/protocol/bad_input.h"

namespace lockstep::checks {

using protocol::CheckResult;
using protocol::Divergence;
using protocol::Status;

void Verdict::Measure(double value) {
  if (!measured_ || std::isnan(value) || value > *measured_) measured_ = value;
}

void Verdict::Report(const Divergence& at, const std::string& words, std::optional<double> alpha,
                     std::optional<double> rho) {
  ++findings_;
  if (first_ && !Earlier(at, *first_)) return;
  first_ = at;
  for (const std::string kind : {"grad/", "clipped/", "param/", "state/", "working/"}) {
    if (at.tensor.starts_with(kind)) first_->tensor = at.tensor.substr(kind.size());  // the phase tells which it is
  }
  words_ = words;
  alpha_ = alpha;
  rho_ = rho;
}

CheckResult Verdict::Finish(double bound) const {
  CheckResult result;
  result.bound = bound;
  result.measured = measured_ ? *measured_ : static_cast<double>(findings_);
  result.compared = compared_;
  result.status = findings_ == 0 && result.measured <= bound ? Status::kPass : Status::kFail;
  if (result.status == Status::kPass) return result;
  result.first_divergence = first_;
  result.alpha = alpha_;
  result.rho = rho_;
  result.diagnosis = words_;
  for (const std::string& note : notes_) result.diagnosis += (result.diagnosis.empty() ? "" : "; ") + note;
  if (findings_ > 1) result.diagnosis += fmt::format("; {} differences in all", findings_);
  return result;
}

CheckResult Verdict::Finish() const { return Finish(measured_ ? *measured_ : 0); }

int PhaseOrder(const std::string& phase) {
  static constexpr std::array<std::string_view, 9> kOrder = {"plan",      "load", "ledger",    "forward", "backward",
                                                             "reduction", "clip", "optimizer", "time"};
  return static_cast<int>(std::find(kOrder.begin(), kOrder.end(), phase) - kOrder.begin());
}

bool Earlier(const Divergence& a, const Divergence& b) {
  if (a.step != b.step) return a.step < b.step;
  return PhaseOrder(a.phase) < PhaseOrder(b.phase);
}

const protocol::RunEvidence& Need(const protocol::RunEvidence* run, const std::string& name) {
  if (run == nullptr) throw protocol::BadInput("runs", "the check needs the " + name + " run, which was not made");
  return *run;
}

Check MakeCheck(const std::string& name, const std::string& equality_class, const std::string& sentence,
                const std::vector<std::string>& runs, std::function<CheckResult(const Input&)> body) {
  auto run = [name, equality_class, body = std::move(body)](const Input& input) {
    CheckResult result;
    try {
      Need(input.runs.candidate, "candidate");
      result = body(input);
    } catch (const protocol::BadInput& error) {
      result = CheckResult{};
      result.status = Status::kFail;
      result.diagnosis = std::string("bad evidence: ") + error.what();
    }
    result.check = name;
    result.equality_class = equality_class;
    if (result.status == Status::kPass && result.compared <= 0) {
      result.status = Status::kFail;
      result.diagnosis = "nothing was compared: the claim is empty for this plan and evidence";
    }
    const bool finite = std::isfinite(result.measured) && std::isfinite(result.bound);
    if (finite && result.measured > 0 && result.bound > 0) result.margin = result.bound / result.measured;
    return result;
  };
  return Check{name, equality_class, sentence, runs, run};
}

std::string Figure(double value) {
  if (!std::isfinite(value)) return fmt::format("{}", value);
  const double size = std::fabs(value);
  if (size == 0) return "0";
  if (size >= 1e-3 && size < 1e5) return fmt::format("{:.{}f}", value, size >= 100 ? 1 : size >= 0.1 ? 3 : 5);
  return fmt::format("{:.2e}", value);
}

std::string List(const std::vector<std::int64_t>& values, std::size_t most) {
  std::string text;
  for (std::size_t i = 0; i < std::min(values.size(), most); ++i) {
    text += (i == 0 ? "" : ", ") + std::to_string(values[i]);
  }
  if (values.size() > most) text += fmt::format(" and {} more", values.size() - most);
  return text;
}

}  // namespace lockstep::checks
