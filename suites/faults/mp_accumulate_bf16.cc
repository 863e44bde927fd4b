// mp.accumulate_bf16: Gradients are accumulated over micro-batches in bf16.
#include "suites/faults/fault.h"
#include "suites/faults/replace.h"

namespace lockstep::faults {
namespace {

class InBf16 : public trainer::Accumulation {
 public:
  using Accumulation::Accumulation;
  void EndBackward(const trainer::MicroBatch&) override {
    for (const auto& parameter : store_.all()) {
      for (trainer::GradientPart& part : parameter->gradients) {
        if (!part.touched || parameter->size() == 0) continue;
        auto rounded = context_.device.Allocate(static_cast<std::size_t>(parameter->size()) * sizeof(std::uint16_t),
                                                device::Category::kWorkspace);
        context_.device.ToBF16(parameter->size(), part.data, rounded.bf16());
        context_.device.FromBF16(parameter->size(), rounded.bf16(), part.data);
      }
    }
  }
};

}  // namespace

extern const Fault fault_mp_accumulate_bf16;
const Fault fault_mp_accumulate_bf16{.name = "mp.accumulate_bf16",
                                     .kind = "precision",
                                     .mechanism = "Gradients are accumulated over micro-batches in bf16.",
                                     .met_in = "Megatron forks #146, #149",
                                     .case_id = "bf16.accumulation/micro_batches=8",
                                     .check = "noise_ratio",
                                     .step = 1,
                                     .phase = "backward",
                                     .tensor = "",
                                     .diagnosis = "bf16",
                                     .make = Make<ReplaceAccumulation<InBf16>>};

}  // namespace lockstep::faults
