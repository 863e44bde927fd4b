// ckpt.data_position_lost: After a resume the loader starts again from the first batch.
#include <vector>

#include "suites/faults/fault.h"
#include "suites/faults/replace.h"

namespace lockstep::faults {
namespace {

class StartsAgain : public trainer::DataLoader {
 public:
  using DataLoader::DataLoader;
  std::vector<std::int64_t> Samples(std::int64_t step, std::int64_t micro_batch) const override {
    return DataLoader::Samples(step - context_.request.checkpoint.resume_step, micro_batch);
  }
};

}  // namespace

extern const Fault fault_ckpt_data_position_lost;
const Fault fault_ckpt_data_position_lost{.name = "ckpt.data_position_lost",
                                          .kind = "checkpoint",
                                          .mechanism = "After a resume the loader starts again from the first batch.",
                                          .met_in = "Megatron-Bridge#5637",
                                          .case_id = "ckpt.epochs/dp=2",
                                          .check = "ledger",
                                          .step = 5,
                                          .phase = "ledger",
                                          .tensor = "",
                                          .diagnosis = "behind",
                                          .make = Make<ReplaceLoader<StartsAgain>>};

}  // namespace lockstep::faults
