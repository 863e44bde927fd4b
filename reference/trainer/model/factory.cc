#include "reference/trainer/model/factory.h"

#include "reference/trainer/model/attention.h"
#include "reference/trainer/model/embedding.h"

namespace lockstep::trainer {

std::unique_ptr<Layer> LayerFactory::MakeEmbedding(ParameterUse tokens, ParameterUse positions) {
  return std::make_unique<Embedding>(context_, tokens, positions);
}

std::unique_ptr<LayerNorm> LayerFactory::MakeLayerNorm(ParameterUse weight, ParameterUse bias, std::int64_t width) {
  return std::make_unique<LayerNorm>(context_, weight, bias, width);
}

std::unique_ptr<Layer> LayerFactory::MakeColumnParallel(const LinearSpec& spec) {
  return std::make_unique<ColumnParallelLinear>(context_, spec);
}

std::unique_ptr<Layer> LayerFactory::MakeRowParallel(const LinearSpec& spec) {
  return std::make_unique<RowParallelLinear>(context_, spec);
}

std::unique_ptr<Layer> LayerFactory::MakeAttention(std::int64_t heads) {
  return std::make_unique<Attention>(context_, heads);
}

std::unique_ptr<Layer> LayerFactory::MakeDropout(std::uint64_t site) {
  return std::make_unique<Dropout>(context_, loader_, site);
}

std::unique_ptr<LossLayer> LayerFactory::MakeCrossEntropy(const CrossEntropySpec& spec) {
  return std::make_unique<CrossEntropy>(context_, spec);
}

std::unique_ptr<LossLayer> LayerFactory::MakeSquaredError() { return std::make_unique<SquaredError>(context_); }

}  // namespace lockstep::trainer
