// data.same_share: The sampler does not know its replica: every replica trains on the first one's share.
#include <vector>

#include "suites/faults/fault.h"
#include "suites/faults/replace.h"

namespace lockstep::faults {
namespace {

class FirstShare : public trainer::DataLoader {
 public:
  using DataLoader::DataLoader;
  std::vector<std::int64_t> Samples(std::int64_t step, std::int64_t micro_batch) const override {
    const auto batch = protocol::BatchSamples(context_.inputs.data.at("order"), step);
    const protocol::Run run =
        protocol::MicroBatchRun(static_cast<std::int64_t>(batch.size()), context_.plan(), 0, micro_batch);
    return {batch.begin() + run.begin, batch.begin() + run.begin + run.size};
  }
};

}  // namespace

extern const Fault fault_data_same_share;
const Fault fault_data_same_share{
    .name = "data.same_share",
    .kind = "ledger",
    .mechanism = "The sampler does not know its replica: every replica trains on the first one's share.",
    .met_in = "openspeech#149, RoMa#32",
    .case_id = "principle.4_disjoint_subsets/dp=3",
    .check = "disjoint_batches",
    .step = 1,
    .phase = "ledger",
    .tensor = "",
    .diagnosis = "more than once",
    .make = Make<ReplaceLoader<FirstShare>>};

}  // namespace lockstep::faults
