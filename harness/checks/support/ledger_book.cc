#include "harness/checks/support/ledger_book.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "harness/checks/support/diagnosis.h"
#include "harness/checks/support/evidence_view.h"
#include "harness/checks/support/replay.h"
#include "harness/protocol/bad_input.h"

namespace lockstep::checks {

namespace {

using protocol::RunEvidence;

std::vector<const protocol::MicroBatchEvent*> EventsOf(const RunEvidence& run, std::int64_t rank, std::int64_t step) {
  std::vector<const protocol::MicroBatchEvent*> events;
  for (const auto& event : run.ranks().at(static_cast<std::size_t>(rank)).micro_batches) {
    if (event.step == step) events.push_back(&event);
  }
  return events;
}

bool HasOrder(const Input& input) { return input.inputs.data.contains("order"); }

std::int64_t ValidOf(const Input& input, const std::vector<std::int64_t>& samples) {
  std::int64_t valid = 0;
  for (const std::int64_t sample : samples) valid += ValidTargets(input.workload, input.inputs, sample);
  return valid;
}

// Says so when these samples are, in this order, another step's batch.
std::string OtherStep(const Input& input, std::int64_t step, const std::vector<std::int64_t>& ran) {
  const protocol::Tensor& order = input.inputs.data.at("order");
  for (std::int64_t s = 1; s <= order.shape.at(0); ++s) {
    const std::vector<std::int64_t> batch = protocol::BatchSamples(order, s);
    if (s == step || batch != ran) continue;
    return fmt::format("these are the samples of step {}: the position in the data is {} steps {}", s,
                       std::abs(s - step), s < step ? "behind" : "ahead");
  }
  return "";
}

// Ranks that stand where `rank` does in another replica.
std::vector<std::int64_t> Column(const protocol::Plan& plan, std::int64_t rank) {
  std::vector<std::int64_t> ranks;
  protocol::Coordinates at = plan.At(rank);
  for (at.data = 0; at.data < plan.data; ++at.data) ranks.push_back(plan.RankOf(at));
  return ranks;
}

void CheckValidTokens(const Input& input, const RunEvidence& run, std::int64_t step, std::int64_t valid,
                      Verdict& verdict) {
  const protocol::Plan& plan = run.request().plan;
  for (std::size_t r = 0; r < run.ranks().size(); ++r) {
    const std::int64_t reported = StepEventOf(run, static_cast<std::int64_t>(r), step).valid_tokens;
    verdict.Count(1);
    if (reported == valid) continue;
    const auto ratio = static_cast<double>(reported) / static_cast<double>(valid);
    StepCounts counts{
        static_cast<std::int64_t>(protocol::BatchSamples(input.inputs.data.at("order"), step).size()), valid, {}};
    verdict.Report({step, "ledger", "", static_cast<std::int64_t>(r), -1},
                   fmt::format("rank {} reports {} valid targets in the global batch, there are {}; {}", r, reported,
                               valid, ScaleWords("the count", ratio, 0, 0, plan, counts)));
  }
}

void CheckStepByOrder(const Input& input, const RunEvidence& run, std::int64_t step, Verdict& verdict) {
  const protocol::Plan& plan = run.request().plan;
  for (std::size_t r = 0; r < run.ranks().size(); ++r) {
    const auto rank = static_cast<std::int64_t>(r);
    const auto expected = ExpectedSamples(input, plan, rank, step);
    const auto ran = SamplesOf(run, rank, step);
    for (std::size_t m = 0; m < expected.size(); ++m) {
      const protocol::Divergence at{step, "ledger", "", rank, static_cast<std::int64_t>(m)};
      verdict.Count(static_cast<std::int64_t>(expected[m].size()));
      if (ran[m] != expected[m]) {
        const std::string batch = BatchWords(input, run, step, rank);
        verdict.Report(at, fmt::format("{}{}rank {} ran [{}] as micro-batch {}, its share is [{}]", batch,
                                       batch.empty() ? "" : "; ", rank, List(ran[m]), m, List(expected[m])));
        continue;
      }
      for (const protocol::MicroBatchEvent* event : EventsOf(run, rank, step)) {
        if (event->micro_batch != static_cast<std::int64_t>(m)) continue;
        const std::int64_t valid = ValidOf(input, expected[m]);
        if (event->valid_tokens != valid) {
          verdict.Report(at, fmt::format("rank {} counts {} valid targets in micro-batch {}, there are {}", rank,
                                         event->valid_tokens, m, valid));
        }
      }
    }
  }
  CheckValidTokens(input, run, step, ValidOf(input, protocol::BatchSamples(input.inputs.data.at("order"), step)),
                   verdict);
}

void CheckStepWithoutOrder(const Input& input, const RunEvidence& run, std::int64_t step, Verdict& verdict) {
  const protocol::Plan& plan = run.request().plan;
  std::map<std::int64_t, std::int64_t> owner;
  std::int64_t total = 0;
  for (std::size_t r = 0; r < run.ranks().size(); ++r) {
    const auto rank = static_cast<std::int64_t>(r);
    const protocol::Coordinates at = plan.At(rank);
    const auto ran = SamplesOf(run, rank, step);
    if (at.tensor == 0 && at.pipeline == 0) {
      for (const auto& samples : ran) {
        for (const std::int64_t sample : samples) {
          ++total;
          if (owner.emplace(sample, at.data).second) continue;
          verdict.Report(
              {step, "ledger", "", rank, -1},
              fmt::format("sample {} was run by replica {} and by replica {}", sample, owner.at(sample), at.data));
        }
      }
    } else if (ran != SamplesOf(run, plan.RankOf({at.data, 0, 0}), step)) {
      verdict.Report({step, "ledger", "", rank, -1},
                     fmt::format("rank {} ran other samples than the first rank of its replica {}", rank, at.data));
    }
  }
  verdict.Count(total);
  if (total != input.workload.global_batch) {
    verdict.Report({step, "ledger", "", -1, -1},
                   fmt::format("{} samples were run, the global batch is {}", total, input.workload.global_batch));
  }
}

}  // namespace

std::vector<std::vector<std::int64_t>> SamplesOf(const RunEvidence& run, std::int64_t rank, std::int64_t step) {
  const protocol::Plan& plan = run.request().plan;
  std::vector<std::vector<std::int64_t>> samples(static_cast<std::size_t>(plan.micro_batches));
  std::vector<std::int64_t> seen(samples.size(), 0);
  for (const protocol::MicroBatchEvent* event : EventsOf(run, rank, step)) {
    const std::string where = fmt::format("{}: events.jsonl of rank {}: step {}", run.request().id, rank, step);
    if (event->micro_batch < 0 || event->micro_batch >= plan.micro_batches) {
      throw protocol::BadInput(where, fmt::format("micro-batch {} does not exist", event->micro_batch),
                               fmt::format("expected 0 to {}", plan.micro_batches - 1));
    }
    const auto m = static_cast<std::size_t>(event->micro_batch);
    if (seen[m]++ > 0 && (seen[m] > plan.chunks || samples[m] != event->samples)) {
      throw protocol::BadInput(where, fmt::format("micro-batch {} was run {} times", m, seen[m]));
    }
    samples[m] = event->samples;
  }
  return samples;
}

std::vector<std::vector<std::int64_t>> ExpectedSamples(const Input& input, const protocol::Plan& plan,
                                                       std::int64_t rank, std::int64_t step) {
  const std::vector<std::int64_t> batch = protocol::BatchSamples(input.inputs.data.at("order"), step);
  std::vector<std::vector<std::int64_t>> expected;
  for (std::int64_t m = 0; m < plan.micro_batches; ++m) {
    const protocol::Run run =
        protocol::MicroBatchRun(static_cast<std::int64_t>(batch.size()), plan, plan.At(rank).data, m);
    expected.emplace_back(batch.begin() + run.begin, batch.begin() + run.begin + run.size);
  }
  return expected;
}

void CheckLedger(const Input& input, const RunEvidence& run, Verdict& verdict) {
  for (std::int64_t s = FirstStep(run); s <= LastStep(run); ++s) {
    if (HasOrder(input)) {
      CheckStepByOrder(input, run, s, verdict);
    } else {
      CheckStepWithoutOrder(input, run, s, verdict);
    }
  }
  for (std::size_t r = 0; r < run.ranks().size(); ++r) {
    for (const auto& event : run.ranks()[r].micro_batches) {
      if (event.step >= FirstStep(run) && event.step <= LastStep(run)) continue;
      verdict.Report({event.step, "ledger", "", static_cast<std::int64_t>(r), event.micro_batch},
                     fmt::format("rank {} ran a micro-batch of step {}, which is not of this run", r, event.step));
    }
  }
}

std::string BatchWords(const Input& input, const RunEvidence& run, std::int64_t step, std::int64_t rank) {
  const std::vector<std::int64_t> batch = protocol::BatchSamples(input.inputs.data.at("order"), step);
  std::map<std::int64_t, std::vector<std::string>> had;  // by sample: "replica 0 micro-batch 1"
  std::vector<std::int64_t> in_order;
  for (const std::int64_t r : Column(run.request().plan, rank)) {
    const auto ran = SamplesOf(run, r, step);
    for (std::size_t m = 0; m < ran.size(); ++m) {
      for (const std::int64_t sample : ran[m]) {
        had[sample].push_back(fmt::format("rank {} micro-batch {}", r, m));
        in_order.push_back(sample);
      }
    }
  }
  std::vector<std::int64_t> missing, strangers;
  std::string words;
  const auto add = [&](const std::string& more) { words += (words.empty() || more.empty() ? "" : "; ") + more; };
  for (const std::int64_t sample : batch) {
    if (!had.contains(sample)) missing.push_back(sample);
  }
  std::vector<std::int64_t> twice;
  std::string who;
  for (const auto& [sample, by] : had) {
    if (std::find(batch.begin(), batch.end(), sample) == batch.end()) strangers.push_back(sample);
    const auto due = std::max<std::ptrdiff_t>(1, std::count(batch.begin(), batch.end(), sample));
    if (static_cast<std::ptrdiff_t>(by.size()) <= due) continue;
    if (twice.empty()) who = fmt::format(" ({} by {})", sample, fmt::join(by, " and "));
    twice.push_back(sample);
  }
  if (!twice.empty()) add(fmt::format("samples run more than once: {}{}", List(twice), who));
  if (!missing.empty()) add(fmt::format("samples of the batch that nobody ran: {}", List(missing)));
  if (!strangers.empty()) add(fmt::format("samples that are not of this batch: {}", List(strangers)));
  if (!in_order.empty() && in_order != batch) add(OtherStep(input, step, in_order));
  return words;
}

}  // namespace lockstep::checks
