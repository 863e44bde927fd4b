// pp.stale_weights: A pipeline that is not flushed computes a step with the weights of the step before.
#include <map>
#include <string>
#include <utility>

#include "suites/faults/fault.h"
#include "suites/faults/replace.h"

namespace lockstep::faults {
namespace {

using Old = std::map<std::string, device::Buffer>;  // values of the step before, by parameter

// Puts the values of the step before in the places of today's, for the forwards and backwards.
class ComputesLate : public trainer::Accumulation {
 public:
  ComputesLate(const RankContext& context, trainer::ParameterStore& store, trainer::GradientArena& arena, Old& old)
      : Accumulation(context, store, arena), old_(old) {}
  ~ComputesLate() override { old_.clear(); }  // they are of this run's device
  void BeginStep() override {
    Accumulation::BeginStep();
    for (const auto& parameter : store_.all()) {
      const auto found = old_.find(parameter->name);
      if (found != old_.end()) std::swap(parameter->value, found->second);
    }
  }

 private:
  Old& old_;
};

// Updates today's values, as it should.
class UpdatesToday : public trainer::OptimizerStep {
 public:
  UpdatesToday(const RankContext& context, trainer::ParameterStore& store, Old& old)
      : OptimizerStep(context, store), old_(old) {}
  void Apply(std::int64_t step) override {
    for (const auto& parameter : store_.all()) {
      if (parameter->size() == 0) continue;
      device::Buffer& kept = old_[parameter->name];
      if (kept) {
        std::swap(parameter->value, kept);
      } else {
        kept = context_.device.Allocate(parameter->bytes(), device::Category::kWorkspace);
      }
      context_.device.Copy(kept.data(), parameter->value.data(), parameter->bytes());
    }
    OptimizerStep::Apply(step);
  }

 private:
  Old& old_;
};

class Unflushed : public trainer::Seams {
 public:
  std::unique_ptr<trainer::Accumulation> MakeAccumulation(const RankContext& context, trainer::ParameterStore& store,
                                                          trainer::GradientArena& arena) override {
    old_.clear();
    return std::make_unique<ComputesLate>(context, store, arena, old_);
  }
  std::unique_ptr<trainer::OptimizerStep> MakeOptimizer(const RankContext& context,
                                                        trainer::ParameterStore& store) override {
    return std::make_unique<UpdatesToday>(context, store, old_);
  }

 private:
  Old old_;
};

}  // namespace

extern const Fault fault_pp_stale_weights;
const Fault fault_pp_stale_weights{
    .name = "pp.stale_weights",
    .kind = "pipeline",
    .mechanism = "A pipeline that is not flushed computes a step with the weights of the step before.",
    .met_in = "PipeDream (arXiv 1806.03377)",
    .case_id = "pp.zb_v/pp=2,chunks=2,micro_batches=4,schedule=zb_v",
    .check = "noise_ratio",
    .step = 2,
    .phase = "forward",
    .tensor = "",
    .diagnosis = "stale weights",
    .make = Make<Unflushed>};

}  // namespace lockstep::faults
