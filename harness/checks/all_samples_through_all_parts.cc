// Principle 6: every sample of a replica passes through every part of its model, in micro-batch order.
#include <fmt/format.h>

#include "harness/checks/support/evidence_view.h"
#include "harness/checks/support/ledger_book.h"

namespace lockstep::checks {

namespace {

// "" where all parts of a rank's replica ran the same samples.
std::string PartsWords(const protocol::RunEvidence& run, const protocol::Plan& plan, std::int64_t rank,
                       std::int64_t step) {
  protocol::Coordinates at = plan.At(rank);
  for (at.pipeline = 0; at.pipeline < plan.pipeline; ++at.pipeline) {
    if (SamplesOf(run, plan.RankOf(at), step) == SamplesOf(run, rank, step)) continue;
    return fmt::format("; part {} ran others: the batch is dealt over the parts too", at.pipeline);
  }
  return "";
}

protocol::CheckResult Run(const Input& input) {
  const protocol::RunEvidence& run = *input.runs.candidate;
  Verdict verdict;
  for (std::int64_t s = FirstStep(run); s <= LastStep(run); ++s) {
    for (std::size_t r = 0; r < run.ranks().size(); ++r) {
      const auto rank = static_cast<std::int64_t>(r);
      const protocol::Coordinates at = input.plan.At(rank);
      const auto expected = ExpectedSamples(input, input.plan, rank, s);
      const auto ran = SamplesOf(run, rank, s);
      std::int64_t due = 0, seen = 0;
      for (const auto& samples : expected) due += static_cast<std::int64_t>(samples.size());
      for (const auto& samples : ran) seen += static_cast<std::int64_t>(samples.size());
      verdict.Count(due);
      if (ran == expected) continue;
      verdict.Report(
          {s, "ledger", "", rank, -1},
          fmt::format("{} of {} samples of replica {} passed through part {} (rank {}){}; {}", seen, due, at.data,
                      at.pipeline, rank, PartsWords(run, input.plan, rank, s), BatchWords(input, run, s, rank)));
    }
  }
  // One stage a rank: forwards are logged as they run, and a part that overtakes another would show as disorder.
  const auto placement = protocol::PlacementOf(run.request().schedule);
  for (std::size_t r = 0; r < run.ranks().size(); ++r) {
    const std::int64_t at = input.plan.At(static_cast<std::int64_t>(r)).pipeline;
    if (placement.at(static_cast<std::size_t>(at)).size() > 1) continue;
    const protocol::MicroBatchEvent* last = nullptr;
    for (const auto& event : run.ranks()[r].micro_batches) {
      const bool back = last != nullptr && (event.step < last->step ||
                                            (event.step == last->step && event.micro_batch <= last->micro_batch));
      if (back) {
        verdict.Report({event.step, "ledger", "", static_cast<std::int64_t>(r), event.micro_batch},
                       fmt::format("rank {} ran micro-batch {} after {}", r, event.micro_batch, last->micro_batch));
      }
      last = &event;
    }
  }
  return verdict.Finish();
}

}  // namespace

extern const Check check_all_samples_through_all_parts;
const Check check_all_samples_through_all_parts = MakeCheck(
    "all_samples_through_all_parts", "exact",
    "Every sample of a replica passes through every part of the model, in the order of micro-batches.", {}, Run);

}  // namespace lockstep::checks
