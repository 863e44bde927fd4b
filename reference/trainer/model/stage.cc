#include "reference/trainer/model/stage.h"

namespace lockstep::trainer {

Activations Stage::Forward(const MicroBatch& micro_batch, const Activations& x) {
  Activations y = x;
  for (const auto& layer : layers) y = layer->Forward(micro_batch, y);
  return y;
}

Activations Stage::Backward(const MicroBatch& micro_batch, Activations d_y, const LayerDone& layer_done) {
  for (auto layer = layers.rbegin(); layer != layers.rend(); ++layer) {
    d_y = (*layer)->Backward(micro_batch, d_y);
    layer_done(**layer);
  }
  return d_y;
}

Activations Stage::InputGradient(const MicroBatch& micro_batch, Activations d_y) {
  for (auto layer = layers.rbegin(); layer != layers.rend(); ++layer) {
    d_y = (*layer)->InputGradient(micro_batch, d_y);
  }
  return d_y;
}

void Stage::WeightGradient(const MicroBatch& micro_batch, const LayerDone& layer_done) {
  for (auto layer = layers.rbegin(); layer != layers.rend(); ++layer) {
    (*layer)->WeightGradient(micro_batch);
    layer_done(**layer);
  }
}

void Stage::Clear() {
  for (const auto& layer : layers) layer->Clear();
}

}  // namespace lockstep::trainer
