// opt.norm_misses_shards: The norm leaves out what the other tensor ranks hold.
#include <cmath>
#include <vector>

#include "suites/faults/fault.h"
#include "suites/faults/replace.h"

namespace lockstep::faults {
namespace {

class MissesShards : public trainer::Clipper {
 public:
  using Clipper::Clipper;
  double Norm() override {
    // Every tensor rank takes the first one's sum, so they agree.
    double squares = 0;
    for (const auto& parameter : store_.all()) {
      squares += context_.device.SumOfSquares(parameter->size(), parameter->gradients[0].data);
    }
    std::vector<double> first{context_.at.tensor == 0 ? squares : 0.0};
    context_.groups.tensor->SumOnHost(first);
    return std::sqrt(first[0]);
  }
};

}  // namespace

extern const Fault fault_opt_norm_misses_shards;
const Fault fault_opt_norm_misses_shards{.name = "opt.norm_misses_shards",
                                         .kind = "clip",
                                         .mechanism = "The norm leaves out what the other tensor ranks hold.",
                                         .met_in = "DeepSpeed#5411, Megatron-LM#5916",
                                         .case_id = "tp.adamw/tp=2",
                                         .check = "reported_norm",
                                         .step = 1,
                                         .phase = "clip",
                                         .tensor = "",
                                         .diagnosis = "tensor rank 0's part alone",
                                         .make = Make<ReplaceClipper<MissesShards>>};

}  // namespace lockstep::faults
