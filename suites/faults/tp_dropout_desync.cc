// tp.dropout_desync: The ranks of a tensor group draw different dropout masks.
#include "harness/protocol/dropout.h"
#include "suites/faults/fault.h"
#include "suites/faults/replace.h"

namespace lockstep::faults {
namespace {

class OwnSeed : public trainer::DataLoader {
 public:
  using DataLoader::DataLoader;
  std::uint64_t RowKey(std::int64_t step, std::int64_t sample, std::uint64_t site,
                       std::int64_t position) const override {
    const std::uint64_t seed = context_.request.workload.seed + static_cast<std::uint64_t>(context_.at.tensor);
    return protocol::DropoutRowKey(seed, static_cast<std::uint64_t>(step), static_cast<std::uint64_t>(sample), site,
                                   static_cast<std::uint64_t>(position));
  }
};

}  // namespace

extern const Fault fault_tp_dropout_desync;
const Fault fault_tp_dropout_desync{.name = "tp.dropout_desync",
                                    .kind = "tensor",
                                    .mechanism = "The ranks of a tensor group draw different dropout masks.",
                                    .met_in = "bigscience/Megatron-DeepSpeed#276",
                                    .case_id = "tp.dropout/tp=2",
                                    .check = "noise_ratio",
                                    .step = 1,
                                    .phase = "forward",
                                    .tensor = "",
                                    .diagnosis = "the ranks of a tensor group draw different dropout masks",
                                    .make = Make<ReplaceLoader<OwnSeed>>};

}  // namespace lockstep::faults
