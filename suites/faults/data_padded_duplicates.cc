// data.padded_duplicates: The sampler repeats samples so that every replica has as many.
#include <vector>

#include "suites/faults/fault.h"
#include "suites/faults/replace.h"

namespace lockstep::faults {
namespace {

class Pads : public trainer::DataLoader {
 public:
  using DataLoader::DataLoader;
  std::vector<std::int64_t> Samples(std::int64_t step, std::int64_t micro_batch) const override {
    std::vector<std::int64_t> samples = DataLoader::Samples(step, micro_batch);
    const auto batch = protocol::BatchSamples(context_.inputs.data.at("order"), step);
    const auto size = static_cast<std::int64_t>(batch.size());
    const auto longest = protocol::MicroBatchRun(size, context_.plan(), 0, micro_batch).size;
    for (std::size_t i = 0; static_cast<std::int64_t>(samples.size()) < longest; ++i) samples.push_back(batch.at(i));
    return samples;
  }
};

}  // namespace

extern const Fault fault_data_padded_duplicates;
const Fault fault_data_padded_duplicates{.name = "data.padded_duplicates",
                                         .kind = "ledger",
                                         .mechanism = "The sampler repeats samples so that every replica has as many.",
                                         .met_in = "pytorch#25162",
                                         .case_id = "dp.indivisible_batch/dp=2",
                                         .check = "ledger",
                                         .step = 1,
                                         .phase = "ledger",
                                         .tensor = "",
                                         .diagnosis = "more than once",
                                         .make = Make<ReplaceLoader<Pads>>};

}  // namespace lockstep::faults
