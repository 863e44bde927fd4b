// pp.sampler_over_world: The sampler deals the batch over all ranks, so each stage of a replica has samples of its own.
#include <vector>

#include "suites/faults/fault.h"
#include "suites/faults/replace.h"

namespace lockstep::faults {
namespace {

class DealsOverWorld : public trainer::DataLoader {
 public:
  using DataLoader::DataLoader;
  std::vector<std::int64_t> Samples(std::int64_t step, std::int64_t micro_batch) const override {
    const auto batch = protocol::BatchSamples(context_.inputs.data.at("order"), step);
    protocol::Plan plan = context_.plan();
    plan.data = plan.WorldSize();
    const protocol::Run run = protocol::MicroBatchRun(static_cast<std::int64_t>(batch.size()), plan,
                                                      context_.groups.world->Rank(), micro_batch);
    return {batch.begin() + run.begin, batch.begin() + run.begin + run.size};
  }
};

}  // namespace

extern const Fault fault_pp_sampler_over_world;
const Fault fault_pp_sampler_over_world{
    .name = "pp.sampler_over_world",
    .kind = "pipeline",
    .mechanism = "The sampler deals the batch over all ranks, so each stage of a replica has samples of its own.",
    .met_in = "DeepSpeed#99",
    .case_id = "principle.6_batch_of_90/pp=3,micro_batches=3",
    .check = "all_samples_through_all_parts",
    .step = 1,
    .phase = "ledger",
    .tensor = "",
    .diagnosis = "the batch is dealt over the parts too",
    .make = Make<ReplaceLoader<DealsOverWorld>>};

}  // namespace lockstep::faults
