// pp.tied_embedding_unreduced: The first and the last stage update their own copy of the tied embedding.
#include "suites/faults/fault.h"
#include "suites/faults/forwarding_communicator.h"
#include "suites/faults/replace.h"

namespace lockstep::faults {

extern const Fault fault_pp_tied_embedding_unreduced;
const Fault fault_pp_tied_embedding_unreduced{
    .name = "pp.tied_embedding_unreduced",
    .kind = "pipeline",
    .mechanism = "The first and the last stage update their own copy of the tied embedding.",
    .met_in = "Megatron-LM#844, #656",
    .case_id = "pp.tied_weights/pp=2,micro_batches=2",
    .check = "replicas",
    .step = 1,
    .phase = "reduction",
    .tensor = "wte.weight",
    .diagnosis = "tied",
    .make = Make<ReplaceGroup<trainer::GroupKind::kTied, NoAllReduce>>};

}  // namespace lockstep::faults
