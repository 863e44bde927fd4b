// Causal attention of the heads that this rank holds: (rows, 3, heads, D) -> (rows, heads, D). No parameters.
#pragma once

#include "reference/trainer/context.h"
#include "reference/trainer/model/layer.h"

namespace lockstep::trainer {

class Attention : public Layer {
 public:
  Attention(const RankContext& context, std::int64_t heads) : context_(context), heads_(heads) {}
  Activations Forward(const MicroBatch& micro_batch, const Activations& qkv) override;
  Activations InputGradient(const MicroBatch& micro_batch, const Activations& d_out) override;
  void Clear() override { kept_.Clear(); }

 private:
  struct Saved {
    Activations qkv, out, extra;  // extra: what the device keeps of the softmax
  };
  device::AttentionShape Shape(const MicroBatch& micro_batch) const;

  const RankContext& context_;
  std::int64_t heads_;
  Kept<Saved> kept_;
};

// Dropout of a row's features by the counter-based generator; its own backward.
class Dropout : public Layer {
 public:
  Dropout(const RankContext& context, const DataLoader& loader, std::uint64_t site)
      : context_(context), loader_(loader), site_(site) {}
  Activations Forward(const MicroBatch& micro_batch, const Activations& x) override { return Apply(micro_batch, x); }
  Activations InputGradient(const MicroBatch& micro_batch, const Activations& d) override {
    return Apply(micro_batch, d);
  }

 private:
  Activations Apply(const MicroBatch& micro_batch, const Activations& x) const;

  const RankContext& context_;
  const DataLoader& loader_;
  std::uint64_t site_;
};

}  // namespace lockstep::trainer
