// tp.dropout_desync: The ranks of one tensor group draw different dropout masks.
#include "suites/faults/fault.h"
#include "suites/faults/replace.h"

namespace lockstep::faults {
namespace {

class OwnMasks : public trainer::DataLoader {
 public:
  using DataLoader::DataLoader;
  std::uint64_t RowKey(std::int64_t step, std::int64_t sample, std::uint64_t site,
                       std::int64_t position) const override {
    const auto rank = static_cast<std::uint64_t>(context_.at.tensor);
    return DataLoader::RowKey(step, sample, site, position) + rank * 0x9E3779B97F4A7C15ull;
  }
};

}  // namespace

extern const Fault fault_tp_dropout_desync;
const Fault fault_tp_dropout_desync{.name = "tp.dropout_desync",
                                    .kind = "tensor",
                                    .mechanism = "The ranks of one tensor group draw different dropout masks.",
                                    .met_in = "bigscience/Megatron-DeepSpeed#276",
                                    .case_id = "tp.dropout/tp=2",
                                    .check = "replicas",
                                    .step = 1,
                                    .phase = "reduction",
                                    .tensor = "",
                                    .diagnosis = "",
                                    .make = Make<ReplaceLoader<OwnMasks>>};

}  // namespace lockstep::faults
