// tp.row_bias_times_tp: A row-parallel layer adds its bias on every rank before the reduction.
#include "suites/faults/fault.h"
#include "suites/faults/replace.h"

namespace lockstep::faults {
namespace {

class BiasBeforeReduction : public trainer::RowParallelLinear {
 public:
  using RowParallelLinear::RowParallelLinear;
  trainer::Activations Forward(const trainer::MicroBatch& micro_batch, const trainer::Activations& x) override {
    trainer::Activations y = RowParallelLinear::Forward(micro_batch, x);
    for (int rank = 1; rank < context_.groups.tensor->Size() && spec_.bias; ++rank) {
      context_.device.AddBias(y.rows, y.width, spec_.bias->value(), y.data());
    }
    return y;
  }
};

class Layers : public trainer::LayerFactory {
 public:
  using LayerFactory::LayerFactory;
  std::unique_ptr<trainer::Layer> MakeRowParallel(const trainer::LinearSpec& spec) override {
    return std::make_unique<BiasBeforeReduction>(context_, spec);
  }
};

}  // namespace

extern const Fault fault_tp_row_bias_times_tp;
const Fault fault_tp_row_bias_times_tp{
    .name = "tp.row_bias_times_tp",
    .kind = "tensor",
    .mechanism = "A row-parallel layer adds its bias on every rank before the reduction.",
    .met_in = "text-generation-inference#1036",
    .case_id = "tp.even/tp=2",
    .check = "noise_ratio",
    .step = 1,
    .phase = "forward",
    .tensor = "",
    .diagnosis = "bias",
    .make = Make<ReplaceLayers<Layers>>};

}  // namespace lockstep::faults
