// One step of a stage's computation, with what its backward needs kept for each micro-batch.
//
// Forward keeps its activations under the micro-batch's index; Backward takes them out, so they are freed with it, and
// adds to the gradients of the layer's parameters. Forward never writes to its input: others hold it. The gradient
// given to Backward is the layer's own from then on (only Residual uses that).
#pragma once

#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "reference/trainer/activations.h"
#include "reference/trainer/loader.h"
#include "reference/trainer/parameters.h"

namespace lockstep::trainer {

class Layer {
 public:
  virtual ~Layer() = default;
  virtual Activations Forward(const MicroBatch& micro_batch, const Activations& x) = 0;
  // d_y: gradient of what Forward returned. Returns that of x, or nothing where nobody needs it.
  virtual Activations Backward(const MicroBatch& micro_batch, const Activations& d_y) = 0;
  // Parameters whose gradients are complete once the last micro-batch's Backward has run.
  virtual std::vector<LocalParameter*> Parameters() const { return {}; }
  // Forgets what forwards without a backward have kept.
  virtual void Clear() {}
};

// The last layer of the model: its Forward returns nothing, its Backward takes nothing.
class LossLayer : public Layer {
 public:
  // Sum of the losses of each micro-batch of the step, in order of their index; then forgets them.
  virtual std::vector<double> TakeLosses() = 0;
  // Each tensor rank's sum is of its own rows.
  virtual bool SplitOverTensor() const = 0;
};

// What a layer keeps from Forward to Backward.
template <typename T>
class Kept {
 public:
  void Put(const MicroBatch& micro_batch, T value) { kept_.insert_or_assign(micro_batch.index, std::move(value)); }
  T Take(const MicroBatch& micro_batch) {
    auto node = kept_.extract(micro_batch.index);
    if (node.empty()) {
      throw std::logic_error("backward of micro-batch " + std::to_string(micro_batch.index) + " before its forward");
    }
    return std::move(node.mapped());
  }
  void Clear() { kept_.clear(); }

 private:
  std::map<std::int64_t, T> kept_;
};

}  // namespace lockstep::trainer
