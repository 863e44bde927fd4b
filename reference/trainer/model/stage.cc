#include "reference/trainer/model/stage.h"

namespace lockstep::trainer {

Activations Stage::Forward(const MicroBatch& micro_batch, const Activations& x) {
  Activations y = x;
  for (const auto& layer : layers) y = layer->Forward(micro_batch, y);
  return y;
}

Activations Stage::Backward(const MicroBatch& micro_batch, Activations d_y,
                            const std::function<void(Layer&)>& layer_done) {
  for (auto layer = layers.rbegin(); layer != layers.rend(); ++layer) {
    d_y = (*layer)->Backward(micro_batch, d_y);
    layer_done(**layer);
  }
  return d_y;
}

void Stage::Clear() {
  for (const auto& layer : layers) layer->Clear();
}

}  // namespace lockstep::trainer
