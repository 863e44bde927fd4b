// One step of a stage's computation, with what its backward needs kept for each micro-batch.
//
// Forward keeps its activations under the micro-batch's index. The backward comes whole, or in two parts with anything
// between them: InputGradient frees what only it reads, WeightGradient the rest. Both ways give the same bytes: what is
// added to a gradient, and in which order of micro-batches, does not depend on when. Forward never writes to its input:
// others hold it. The gradient given to a backward is the layer's own from then on, and what InputGradient kept of it
// for WeightGradient is not written to any more.
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
  // d_y: gradient of what Forward returned. Returns that of x, or nothing where nobody needs it. Adds to the gradients
  // of the layer's parameters.
  virtual Activations Backward(const MicroBatch& micro_batch, const Activations& d_y) {
    Activations d_x = InputGradient(micro_batch, d_y);
    WeightGradient(micro_batch);
    return d_x;
  }
  // The same in parts: d_x, touching no gradient; then the gradients of the layer's parameters.
  virtual Activations InputGradient(const MicroBatch& micro_batch, const Activations& d_y) = 0;
  virtual void WeightGradient(const MicroBatch&) {}
  // Parameters whose gradients are complete once the last micro-batch's Backward or WeightGradient has run.
  virtual std::vector<LocalParameter*> Parameters() const { return {}; }
  // Forgets what forwards without a backward have kept.
  virtual void Clear() {}
};

// The last layer of the model: its Forward returns nothing, its InputGradient takes nothing.
class LossLayer : public Layer {
 public:
  // Sum of the losses of each micro-batch that has passed here in the step, by its index; then forgets them.
  virtual std::map<std::int64_t, double> TakeLosses() = 0;
  // Each tensor rank's sum is of its own rows.
  virtual bool SplitOverTensor() const = 0;
};

// What a layer keeps of each micro-batch from one of its parts to the next.
template <typename T>
class Kept {
 public:
  void Put(const MicroBatch& micro_batch, T value) { kept_.insert_or_assign(micro_batch.index, std::move(value)); }
  T Take(const MicroBatch& micro_batch) {
    auto node = kept_.extract(micro_batch.index);
    if (node.empty()) {
      throw std::logic_error("micro-batch " + std::to_string(micro_batch.index) + " has left nothing for its backward");
    }
    return std::move(node.mapped());
  }
  void Clear() { kept_.clear(); }

 private:
  std::map<std::int64_t, T> kept_;
};

}  // namespace lockstep::trainer
