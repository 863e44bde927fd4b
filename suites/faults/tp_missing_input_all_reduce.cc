// tp.missing_input_all_reduce: A column-parallel layer does not sum its input's gradient over the tensor ranks.
#include "suites/faults/fault.h"
#include "suites/faults/replace.h"
#include "suites/faults/silenced.h"

namespace lockstep::faults {
namespace {

class Layers : public trainer::LayerFactory {
 public:
  using LayerFactory::LayerFactory;
  std::unique_ptr<trainer::Layer> MakeColumnParallel(const trainer::LinearSpec& spec) override {
    return LayerFactory::MakeColumnParallel(silenced_(spec));
  }

 private:
  Silenced silenced_;
};

}  // namespace

extern const Fault fault_tp_missing_input_all_reduce;
const Fault fault_tp_missing_input_all_reduce{
    .name = "tp.missing_input_all_reduce",
    .kind = "tensor",
    .mechanism = "A column-parallel layer does not sum its input's gradient over the tensor ranks.",
    .met_in = "torchtitan#3412",
    .case_id = "tp.even/tp=2",
    .check = "replicas",
    .step = 1,
    .phase = "reduction",
    .tensor = "",
    .diagnosis = "not reduced over tensor ranks",
    .make = Make<ReplaceLayers<Layers>>};

}  // namespace lockstep::faults
