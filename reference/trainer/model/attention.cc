#include "reference/trainer/model/attention.h"

#include <utility>

namespace lockstep::trainer {

device::AttentionShape Attention::Shape(const MicroBatch& micro_batch) const {
  return {.batch = static_cast<std::int64_t>(micro_batch.samples.size()),
          .length = context_.model().sequence,
          .heads = heads_,
          .width = context_.model().head_width()};
}

Activations Attention::Forward(const MicroBatch& micro_batch, const Activations& qkv) {
  const device::AttentionShape shape = Shape(micro_batch);
  Saved saved{.qkv = qkv,
              .out = NewActivations(context_.device, qkv.rows, qkv.width / 3),
              .extra = NewActivations(context_.device, 1, context_.device.AttentionSaved(shape))};
  const auto element = context_.bf16() ? device::Element::kBF16 : device::Element::kF32;
  context_.device.AttentionForward(shape, element, qkv.data(), saved.out.data(), saved.extra.data());
  Activations out = saved.out;
  kept_.Put(micro_batch, std::move(saved));
  return out;
}

Activations Attention::InputGradient(const MicroBatch& micro_batch, const Activations& d_out) {
  const Saved saved = kept_.Take(micro_batch);
  Activations d_qkv = NewActivations(context_.device, saved.qkv.rows, saved.qkv.width);
  const auto element = context_.bf16() ? device::Element::kBF16 : device::Element::kF32;
  context_.device.AttentionBackward(Shape(micro_batch), element, saved.qkv.data(), saved.out.data(), saved.extra.data(),
                                    d_out.data(), d_qkv.data());
  return d_qkv;
}

Activations Dropout::Apply(const MicroBatch& micro_batch, const Activations& x) const {
  Activations y = NewActivations(context_.device, x.rows, x.width);
  const device::Buffer keys = loader_.RowKeys(micro_batch, site_);
  if (x.rows > 0) {
    context_.device.Dropout(x.rows, x.width, static_cast<float>(context_.model().dropout), keys.u64(), x.data(),
                            y.data());
  }
  return y;
}

}  // namespace lockstep::trainer
