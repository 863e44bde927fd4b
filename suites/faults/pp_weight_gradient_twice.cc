// pp.weight_gradient_twice: A weight gradient that was put off is added twice.
#include "suites/faults/fault.h"
#include "suites/faults/replace.h"

namespace lockstep::faults {
namespace {

// For the second micro-batch alone: the product is added once more.
class AddsTwice : public trainer::RowParallelLinear {
 public:
  using RowParallelLinear::RowParallelLinear;
  void WeightGradient(const trainer::MicroBatch& micro_batch) override {
    if (micro_batch.index == 1) {
      const trainer::DeferredProduct once = deferred_.Take(micro_batch);
      deferred_.Put(micro_batch, once);
      RowParallelLinear::WeightGradient(micro_batch);
      deferred_.Put(micro_batch, once);
    }
    RowParallelLinear::WeightGradient(micro_batch);
  }
};

class Factory : public trainer::LayerFactory {
 public:
  using LayerFactory::LayerFactory;
  std::unique_ptr<trainer::Layer> MakeRowParallel(const trainer::LinearSpec& spec) override {
    return std::make_unique<AddsTwice>(context_, spec);
  }
};

}  // namespace

extern const Fault fault_pp_weight_gradient_twice;
const Fault fault_pp_weight_gradient_twice{.name = "pp.weight_gradient_twice",
                                           .kind = "pipeline",
                                           .mechanism = "A weight gradient that was put off is added twice.",
                                           .met_in = "pytorch#180952",
                                           .case_id = "pp.zb_h1/pp=2,micro_batches=4,schedule=zb_h1",
                                           .check = "noise_ratio",
                                           .step = 1,
                                           .phase = "backward",
                                           .tensor = "h.3.mlp.proj.bias",
                                           .diagnosis = "the backward of one micro-batch counts twice (micro-batch 1",
                                           .make = Make<ReplaceLayers<Factory>>};

}  // namespace lockstep::faults
