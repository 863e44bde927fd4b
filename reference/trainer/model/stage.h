// A stage: consecutive layers of the model that stand on one rank, run forward or backward for one micro-batch.
// The backward runs whole or in two parts, as each layer's does.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "reference/trainer/model/layer.h"

namespace lockstep::trainer {

using LayerDone = std::function<void(Layer&)>;

struct Stage {
  std::int64_t index = 0;  // in the model
  std::int64_t units = 0;  // blocks or layers of the partition
  bool first = false, last = false;
  std::int64_t input_width = 0;  // features of the activations that arrive; 0 on the first stage
  std::int64_t output_width = 0;
  std::vector<std::unique_ptr<Layer>> layers;
  LossLayer* loss = nullptr;  // the last of `layers` on the last stage

  // `x` is the previous stage's; on the first stage, an mlp's inputs. Returns what the next stage needs.
  Activations Forward(const MicroBatch& micro_batch, const Activations& x);
  // `layer_done` is told of each layer whose weights' gradients have been added to, from the last to the first.
  Activations Backward(const MicroBatch& micro_batch, Activations d_y, const LayerDone& layer_done);
  Activations InputGradient(const MicroBatch& micro_batch, Activations d_y);
  void WeightGradient(const MicroBatch& micro_batch, const LayerDone& layer_done);
  void Clear();
};

}  // namespace lockstep::trainer
