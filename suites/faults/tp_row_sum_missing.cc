// tp.row_sum_missing: The parts of a row-parallel layer's result are not added up over the tensor ranks.
#include "suites/faults/fault.h"
#include "suites/faults/replace.h"
#include "suites/faults/silenced.h"

namespace lockstep::faults {
namespace {

class Layers : public trainer::LayerFactory {
 public:
  using LayerFactory::LayerFactory;
  std::unique_ptr<trainer::Layer> MakeRowParallel(const trainer::LinearSpec& spec) override {
    return LayerFactory::MakeRowParallel(silenced_(spec));
  }

 private:
  Silenced silenced_;
};

}  // namespace

extern const Fault fault_tp_row_sum_missing;
const Fault fault_tp_row_sum_missing{
    .name = "tp.row_sum_missing",
    .kind = "tensor",
    .mechanism = "The parts of a row-parallel layer's result are not added up over the tensor ranks.",
    .met_in = "a fault of hand-written tensor parallelism",
    .case_id = "tp.dropout/tp=2",
    .check = "noise_ratio",
    .step = 1,
    .phase = "forward",
    .tensor = "",
    .diagnosis = "not added up over the tensor ranks",
    .make = Make<ReplaceLayers<Layers>>};

}  // namespace lockstep::faults
