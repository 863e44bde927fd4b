// data.tail_dropped: The last, partial batch of an epoch is left out.
#include <vector>

#include "suites/faults/fault.h"
#include "suites/faults/replace.h"

namespace lockstep::faults {
namespace {

class DropsTail : public trainer::DataLoader {
 public:
  using DataLoader::DataLoader;
  std::vector<std::int64_t> Samples(std::int64_t step, std::int64_t micro_batch) const override {
    const auto batch = protocol::BatchSamples(context_.inputs.data.at("order"), step);
    if (static_cast<std::int64_t>(batch.size()) < context_.request.workload.global_batch) return {};
    return DataLoader::Samples(step, micro_batch);
  }
};

}  // namespace

extern const Fault fault_data_tail_dropped;
const Fault fault_data_tail_dropped{.name = "data.tail_dropped",
                                    .kind = "ledger",
                                    .mechanism = "The last, partial batch of an epoch is left out.",
                                    .met_in = "transformers",
                                    .case_id = "data.epochs/dp=2",
                                    .check = "ledger",
                                    .step = 3,
                                    .phase = "ledger",
                                    .tensor = "",
                                    .diagnosis = "nobody ran",
                                    .make = Make<ReplaceLoader<DropsTail>>};

}  // namespace lockstep::faults
