#include "reference/trainer/model/tensor_rows.h"

#include <utility>
#include <vector>

namespace lockstep::trainer {
namespace {

std::vector<std::int64_t> ElementCounts(const MicroBatch& micro_batch, std::int64_t width) {
  std::vector<std::int64_t> counts = micro_batch.row_counts;
  for (std::int64_t& count : counts) count *= width;
  return counts;
}

}  // namespace

Activations TensorRows::Gather(const MicroBatch& micro_batch, const Activations& local) const {
  if (group_ == nullptr || !sequence_parallel_) return local;
  Activations whole = NewActivations(*device_, micro_batch.rows, local.width);
  group_->AllGather(ElementCounts(micro_batch, local.width), local.data(), whole.data())->Wait();
  return whole;
}

Activations TensorRows::Pending::Wait() {
  if (work) work->Wait();
  source = {};
  return std::move(result);
}

TensorRows::Pending TensorRows::StartReduce(const MicroBatch& micro_batch, Activations partial) const {
  if (group_ == nullptr) return {.result = std::move(partial), .source = {}, .work = nullptr};
  if (!sequence_parallel_) {
    auto work = group_->AllReduce(partial.size(), partial.data(), device::Reduction::kSum);
    return {.result = std::move(partial), .source = {}, .work = std::move(work)};
  }
  Activations part = NewActivations(*device_, micro_batch.local.size, partial.width);
  auto work = group_->ReduceScatter(ElementCounts(micro_batch, partial.width), partial.data(), part.data());
  return {.result = std::move(part), .source = std::move(partial), .work = std::move(work)};
}

}  // namespace lockstep::trainer
