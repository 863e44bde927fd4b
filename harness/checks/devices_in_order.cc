// Principle 5: asked for n devices, a run reports 0 .. n - 1, in rank order, on every rank.
#include <fmt/format.h>

#include "harness/checks/support/verdict.h"

namespace lockstep::checks {

namespace {

protocol::CheckResult Run(const Input& input) {
  const protocol::RunEvidence& run = *input.runs.candidate;
  Verdict verdict;
  std::vector<std::int64_t> asked;
  for (std::int64_t d = 0; d < input.plan.WorldSize(); ++d) asked.push_back(d);
  for (std::size_t r = 0; r < run.ranks().size(); ++r) {
    const std::vector<std::int64_t>& devices = run.ranks()[r].hello.effective.devices;
    verdict.Count(static_cast<std::int64_t>(asked.size()));
    if (devices == asked) continue;
    verdict.Report({0, "plan", "", static_cast<std::int64_t>(r), -1},
                   fmt::format("rank {} reports devices [{}], asked for [{}]", r, List(devices, 64), List(asked, 64)));
  }
  return verdict.Finish();
}

}  // namespace

extern const Check check_devices_in_order;
const Check check_devices_in_order =
    MakeCheck("devices_in_order", "exact",
              "Asked for devices 0 to n - 1, every rank reports exactly these, in that order.", {}, Run);

}  // namespace lockstep::checks
