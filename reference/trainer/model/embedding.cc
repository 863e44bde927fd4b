#include "reference/trainer/model/embedding.h"

namespace lockstep::trainer {

Embedding::Embedding(const RankContext& context, ParameterUse tokens, ParameterUse positions)
    : context_(context),
      tokens_(tokens),
      positions_(positions),
      rows_(context.device, context.groups.tensor.get(), context.sequence_parallel()) {}

Activations Embedding::Forward(const MicroBatch& micro_batch, const Activations&) {
  device::Device& device = context_.device;
  const protocol::Slice& table = tokens_.parameter().slice;
  const std::int64_t width = context_.model().width;
  Activations y = NewActivations(device, micro_batch.rows, width);
  device.EmbeddingForward(micro_batch.rows, width, micro_batch.tokens.i32(), table.offset[0], table.shape[0],
                          tokens_.value(), y.data());
  y = rows_.Reduce(micro_batch, std::move(y));
  const std::int64_t rows = micro_batch.local.size;
  const Activations place = NewActivations(device, rows, width);
  device.EmbeddingForward(rows, width, micro_batch.positions.i32(), 0, context_.model().sequence, positions_.value(),
                          place.data());
  device.Add(y.size(), y.data(), place.data(), y.data());
  return y;
}

Activations Embedding::InputGradient(const MicroBatch& micro_batch, const Activations& d_y) {
  gradients_.Put(micro_batch, d_y);  // the tables are all there is to differentiate by
  return {};
}

void Embedding::WeightGradient(const MicroBatch& micro_batch) {
  const Activations d_y = gradients_.Take(micro_batch);
  device::Device& device = context_.device;
  const protocol::Slice& table = tokens_.parameter().slice;
  if (d_y.rows > 0) {
    device.EmbeddingBackward(d_y.rows, d_y.width, micro_batch.positions.i32(), 0, context_.model().sequence, d_y.data(),
                             positions_.GradientToAdd(device));
  }
  const Activations all = rows_.Gather(micro_batch, d_y);
  if (table.shape[0] > 0) {
    device.EmbeddingBackward(all.rows, all.width, micro_batch.tokens.i32(), table.offset[0], table.shape[0], all.data(),
                             tokens_.GradientToAdd(device));
  }
}

}  // namespace lockstep::trainer
