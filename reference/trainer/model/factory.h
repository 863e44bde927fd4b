// Makes the layers that models are built of. Virtual, so that a suite can put a wrong one in a right one's place.
#pragma once

#include <memory>
#include <vector>

#include "reference/trainer/model/layer.h"
#include "reference/trainer/model/layer_norm.h"
#include "reference/trainer/model/loss.h"
#include "reference/trainer/model/parallel_linear.h"

namespace lockstep::trainer {

class LayerFactory {
 public:
  LayerFactory(const RankContext& context, const DataLoader& loader) : context_(context), loader_(loader) {}
  virtual ~LayerFactory() = default;

  virtual std::unique_ptr<Layer> MakeEmbedding(ParameterUse tokens, ParameterUse positions);
  virtual std::unique_ptr<LayerNorm> MakeLayerNorm(ParameterUse weight, ParameterUse bias, std::int64_t width);
  virtual std::unique_ptr<Layer> MakeColumnParallel(const LinearSpec& spec);
  virtual std::unique_ptr<Layer> MakeRowParallel(const LinearSpec& spec);
  virtual std::unique_ptr<Layer> MakeAttention(std::int64_t heads);
  virtual std::unique_ptr<Layer> MakeDropout(std::uint64_t site);
  virtual std::unique_ptr<LossLayer> MakeCrossEntropy(const CrossEntropySpec& spec);
  virtual std::unique_ptr<LossLayer> MakeSquaredError();

  const RankContext& context() const { return context_; }

 protected:
  const RankContext& context_;
  const DataLoader& loader_;
};

}  // namespace lockstep::trainer
