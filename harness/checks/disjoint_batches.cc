// Principle 4: the data-parallel workers' samples are disjoint, and together are the batch.
#include <fmt/format.h>

#include <map>

#include "harness/checks/support/evidence_view.h"
#include "harness/checks/support/ledger_book.h"

namespace lockstep::checks {

namespace {

protocol::CheckResult Run(const Input& input) {
  const protocol::RunEvidence& run = *input.runs.candidate;
  Verdict verdict;
  for (std::int64_t s = FirstStep(run); s <= LastStep(run); ++s) {
    const std::vector<std::int64_t> batch = protocol::BatchSamples(input.inputs.data.at("order"), s);
    std::map<std::int64_t, std::int64_t> owed;  // by sample: how often it is still due
    for (const std::int64_t sample : batch) ++owed[sample];
    verdict.Count(static_cast<std::int64_t>(batch.size()));
    for (std::int64_t d = 0; d < input.plan.data; ++d) {
      const std::int64_t rank = input.plan.RankOf({d, 0, 0});
      std::int64_t own = 0;
      for (const auto& samples : SamplesOf(run, rank, s)) {
        for (const std::int64_t sample : samples) {
          --owed[sample];
          ++own;
        }
      }
      if (own == 0 && static_cast<std::int64_t>(batch.size()) >= input.plan.data) {
        verdict.Report({s, "ledger", "", rank, -1}, fmt::format("worker {} trains on no sample", d));
      }
    }
    for (const auto& [sample, due] : owed) {
      if (due == 0) continue;
      verdict.Report({s, "ledger", "", -1, -1}, BatchWords(input, run, s, 0));
      break;
    }
  }
  return verdict.Finish();
}

}  // namespace

extern const Check check_disjoint_batches;
const Check check_disjoint_batches =
    MakeCheck("disjoint_batches", "exact",
              "The workers' subsets of a batch are disjoint and together are the batch, in every step.", {}, Run);

}  // namespace lockstep::checks
