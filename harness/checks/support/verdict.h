// What every check does alike: collect what was compared and what differed, and turn it into one CheckResult.
//
// The rules that must hold in every check are here once: nothing compared is a failure, bad evidence is a failure and
// not a shorter comparison, a value that is not finite is the worst there is, and the divergence that is told is the
// first in the order of a step (plan, load, ledger, forward, backward, reduction, clip, optimizer, time). It knows no
// bound and no cause.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "harness/checks/check.h"

namespace lockstep::checks {

class Verdict {
 public:
  // `count` elements or items have been compared.
  void Count(std::int64_t count) { compared_ += count; }
  // Keeps the largest value; NaN is larger than any.
  void Measure(double value);
  // A difference. The first in step order is told with its words; the others are counted. Its tensor is kept as the
  // parameter's name: "grad/wte.weight" becomes "wte.weight".
  void Report(const protocol::Divergence& at, const std::string& words, std::optional<double> alpha = {},
              std::optional<double> rho = {});
  bool failed() const { return findings_ > 0; }
  // Said after the words of the first divergence, whatever that is.
  void Note(const std::string& words) { notes_.push_back(words); }

  // measured: the largest measure, compared with `bound`; without a measure the number of differences, against 0.
  protocol::CheckResult Finish(double bound) const;
  protocol::CheckResult Finish() const;

 private:
  std::int64_t compared_ = 0, findings_ = 0;
  std::optional<double> measured_;
  std::optional<protocol::Divergence> first_;
  std::string words_;
  std::vector<std::string> notes_;
  std::optional<double> alpha_, rho_;
};

// Position of a phase in a step; unknown phases come last.
int PhaseOrder(const std::string& phase);
bool Earlier(const protocol::Divergence& a, const protocol::Divergence& b);

// A Check around `body`: fills in name and class, turns BadInput into a failure, and refuses an empty comparison.
Check MakeCheck(const std::string& name, const std::string& equality_class, const std::string& sentence,
                const std::vector<std::string>& runs, std::function<protocol::CheckResult(const Input&)> body);

// The run, or BadInput that says that it was not made.
const protocol::RunEvidence& Need(const protocol::RunEvidence* run, const std::string& name);

// Figures as people read them: 4 significant digits, "8.000", "3.1e-07".
std::string Figure(double value);
// "0, 3, 7 and 12 more".
std::string List(const std::vector<std::int64_t>& values, std::size_t most = 8);

}  // namespace lockstep::checks
