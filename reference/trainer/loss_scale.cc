#include "reference/trainer/loss_scale.h"

#include <numeric>

namespace lockstep::trainer {
namespace {

double Sum(device::Communicator& group, double value) {
  if (group.Size() > 1) group.SumOnHost({&value, 1});
  return value;
}

}  // namespace

StepCounts LossScale::Count(const std::vector<std::int64_t>& micro_batches) {
  StepCounts counts{.micro_batches = micro_batches};
  counts.replica = std::accumulate(micro_batches.begin(), micro_batches.end(), std::int64_t{0});
  counts.global = static_cast<std::int64_t>(Sum(*context_.groups.data, static_cast<double>(counts.replica)));
  return counts;
}

float LossScale::OfGradients(const StepCounts& counts, std::int64_t) const {
  return counts.global == 0 ? 0.0f : static_cast<float>(1.0 / static_cast<double>(counts.global));
}

double LossScale::OfLosses(const StepCounts& counts, const std::vector<double>& sums, bool split) {
  double total = std::accumulate(sums.begin(), sums.end(), 0.0);
  if (split) total = Sum(*context_.groups.tensor, total);
  total = Sum(*context_.groups.data, total);
  return counts.global == 0 ? 0.0 : total / static_cast<double>(counts.global);
}

}  // namespace lockstep::trainer
