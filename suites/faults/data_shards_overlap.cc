// data.shards_overlap: Each replica shuffles by its own seed, so their shares of a batch overlap.
#include <algorithm>
#include <vector>

#include "suites/faults/fault.h"
#include "suites/faults/replace.h"

namespace lockstep::faults {
namespace {

class OwnOrder : public trainer::DataLoader {
 public:
  using DataLoader::DataLoader;
  std::vector<std::int64_t> Samples(std::int64_t step, std::int64_t micro_batch) const override {
    auto batch = protocol::BatchSamples(context_.inputs.data.at("order"), step);
    if (context_.at.data % 2 == 1) std::reverse(batch.begin(), batch.end());
    const auto size = static_cast<std::int64_t>(batch.size());
    const protocol::Run run = protocol::MicroBatchRun(size, context_.plan(), context_.at.data, micro_batch);
    return {batch.begin() + run.begin, batch.begin() + run.begin + run.size};
  }
};

}  // namespace

extern const Fault fault_data_shards_overlap;
const Fault fault_data_shards_overlap{
    .name = "data.shards_overlap",
    .kind = "ledger",
    .mechanism = "Each replica shuffles by its own seed, so their shares of a batch overlap.",
    .met_in = "mlcommons/training#625",
    .case_id = "dp.even/dp=2",
    .check = "ledger",
    .step = 1,
    .phase = "ledger",
    .tensor = "",
    .diagnosis = "more than once",
    .make = Make<ReplaceLoader<OwnOrder>>};

}  // namespace lockstep::faults
