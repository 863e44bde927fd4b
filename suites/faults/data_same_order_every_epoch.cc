// data.same_order_every_epoch: The epoch is not mixed into the seed: every epoch has the first one's order.
#include <vector>

#include "suites/faults/fault.h"
#include "suites/faults/replace.h"

namespace lockstep::faults {
namespace {

class SameOrder : public trainer::DataLoader {
 public:
  using DataLoader::DataLoader;
  std::vector<std::int64_t> Samples(std::int64_t step, std::int64_t micro_batch) const override {
    const std::int64_t samples = context_.inputs.data.at("inputs").shape.at(0);
    const std::int64_t batch = context_.request.workload.global_batch;
    const std::int64_t steps = (samples + batch - 1) / batch;
    return DataLoader::Samples((step - 1) % steps + 1, micro_batch);
  }
};

}  // namespace

extern const Fault fault_data_same_order_every_epoch;
const Fault fault_data_same_order_every_epoch{
    .name = "data.same_order_every_epoch",
    .kind = "ledger",
    .mechanism = "The epoch is not mixed into the seed: every epoch has the first one's order.",
    .met_in = "pytorch#31771",
    .case_id = "data.epochs/dp=2",
    .check = "ledger",
    .step = 4,
    .phase = "ledger",
    .tensor = "",
    .diagnosis = "3 steps behind",
    .make = Make<ReplaceLoader<SameOrder>>};

}  // namespace lockstep::faults
