#include "reference/trainer/gradient_reducer.h"

#include <algorithm>

namespace lockstep::trainer {

GradientReducer::GradientReducer(const RankContext& context, GradientArena& arena) : context_(context), arena_(arena) {}

void GradientReducer::BuildBuckets() {
  const std::int64_t limit = context_.plan().bucket_bytes / static_cast<std::int64_t>(sizeof(float));
  for (const GradientArena::Place& place : arena_.places()) {
    const GradientKind kind = KindOf(*place.parameter);
    const bool included = Includes(*place.parameter);
    const std::int64_t end = place.begin + place.size;
    const bool fits = !buckets_.empty() && buckets_.back().kind == kind && buckets_.back().included == included &&
                      end - buckets_.back().begin <= limit;
    if (!fits) {
      buckets_.emplace_back();
      buckets_.back().kind = kind;
      buckets_.back().included = included;
      buckets_.back().begin = place.begin;
    }
    buckets_.back().size = end - buckets_.back().begin;
    buckets_.back().parameters.push_back(place.parameter);
  }
}

void GradientReducer::BeginStep() {
  if (buckets_.empty()) BuildBuckets();  // not in the constructor: Includes() is virtual
  for (Bucket& bucket : buckets_) {
    bucket.outstanding = bucket.parameters.size();
    bucket.launched = false;
    bucket.work = nullptr;
  }
}

void GradientReducer::Ready(const std::vector<LocalParameter*>& parameters) {
  for (LocalParameter* parameter : parameters) {
    for (Bucket& bucket : buckets_) {
      const auto& members = bucket.parameters;
      if (std::find(members.begin(), members.end(), parameter) == members.end()) continue;
      if (bucket.outstanding > 0) --bucket.outstanding;
      const bool complete = bucket.outstanding == 0 && !bucket.launched;
      if (complete && bucket.kind == GradientKind::kRegular && context_.plan().overlap) SumReplicas(bucket);
    }
  }
}

void GradientReducer::SumReplicas(Bucket& bucket) {
  for (LocalParameter* parameter : bucket.parameters) arena_.ZeroIfUntouched(*parameter);
  bucket.launched = true;
  if (!bucket.included || context_.groups.data->Size() == 1) return;
  bucket.work = context_.groups.data->AllReduce(bucket.size, arena_.data() + bucket.begin, device::Reduction::kSum);
}

void GradientReducer::SumTied(Bucket& bucket) {
  // Two parts, one addition: the same bytes whether they lie on one rank or on the two ends of a pipeline.
  for (LocalParameter* parameter : bucket.parameters) {
    arena_.ZeroIfUntouched(*parameter);
    for (std::size_t use = 1; use < parameter->gradients.size(); ++use) {
      float* sum = parameter->gradients[0].data;
      context_.device.Add(parameter->size(), sum, parameter->gradients[use].data, sum);
    }
  }
  if (context_.groups.tied->Size() == 1) return;
  context_.groups.tied->AllReduce(bucket.size, arena_.data() + bucket.begin, device::Reduction::kSum)->Wait();
}

void GradientReducer::SumRows(Bucket& bucket) {
  for (LocalParameter* parameter : bucket.parameters) arena_.ZeroIfUntouched(*parameter);
  context_.groups.tensor->AllReduce(bucket.size, arena_.data() + bucket.begin, device::Reduction::kSum)->Wait();
}

// After the sum over replicas: two ranks that run a stage both ways round complete their buckets in different orders.
void GradientReducer::SumMirrors(Bucket& bucket) {
  if (context_.groups.mirror->Size() == 1) return;
  context_.groups.mirror->AllReduce(bucket.size, arena_.data() + bucket.begin, device::Reduction::kSum)->Wait();
}

void GradientReducer::Finish() {
  for (Bucket& bucket : buckets_) {
    if (bucket.launched) continue;
    if (bucket.kind == GradientKind::kTied) SumTied(bucket);
    if (bucket.kind == GradientKind::kPartial) SumRows(bucket);
    SumReplicas(bucket);
  }
  for (Bucket& bucket : buckets_) {
    if (bucket.work) bucket.work->Wait();
    bucket.work = nullptr;
    SumMirrors(bucket);
  }
}

}  // namespace lockstep::trainer
