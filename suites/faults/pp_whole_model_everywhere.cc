// pp.whole_model_everywhere: Every stage loads the whole model and keeps it, though it runs a part of it.
#include <algorithm>
#include <vector>

#include "suites/faults/fault.h"
#include "suites/faults/replace.h"

namespace lockstep::faults {
namespace {

class LoadsAll : public trainer::Accumulation {
 public:
  LoadsAll(const RankContext& context, trainer::ParameterStore& store, trainer::GradientArena& arena)
      : Accumulation(context, store, arena) {
    for (const protocol::Parameter& each : protocol::Parameters(context.model())) {
      const auto here = [&](const auto& parameter) { return parameter->name == each.name; };
      if (std::any_of(store.all().begin(), store.all().end(), here)) continue;
      trainer::LocalParameter& more = store.Declare(each.name, -1, false).parameter();
      never_.push_back(context.device.Allocate(more.bytes(), device::Category::kGradients));
      context.device.Zero(never_.back().data(), never_.back().bytes());
      more.gradients[0].data = never_.back().f32();
    }
  }

 private:
  std::vector<device::Buffer> never_;  // gradients of what no layer here uses
};

}  // namespace

extern const Fault fault_pp_whole_model_everywhere;
const Fault fault_pp_whole_model_everywhere{
    .name = "pp.whole_model_everywhere",
    .kind = "pipeline",
    .mechanism = "Every stage loads the whole model and keeps it, though it runs a part of it.",
    .met_in = "PiPPy#723, vllm#6455",
    .case_id = "principle.2_model_split/pp=2,micro_batches=2",
    .check = "holds_only_its_part",
    .step = 0,
    .phase = "load",
    .tensor = "",
    .diagnosis = "it is not split",
    .make = Make<ReplaceAccumulation<LoadsAll>>};

}  // namespace lockstep::faults
