// tp.loss_plus_log_tp: Gathered logits are treated as sharded: every class is counted once a tensor rank.
#include "suites/faults/fault.h"
#include "suites/faults/replace.h"

namespace lockstep::faults {
namespace {

class CountsTwice : public trainer::CrossEntropy {
 public:
  using CrossEntropy::CrossEntropy;

 protected:
  void ReduceSums(trainer::Activations& statistics) override {
    CrossEntropy::ReduceSums(statistics);
    float* sums = statistics.data() + statistics.width;
    context_.device.Scale(statistics.width, static_cast<float>(context_.groups.tensor->Size()), sums);
  }
};

class Layers : public trainer::LayerFactory {
 public:
  using LayerFactory::LayerFactory;
  std::unique_ptr<trainer::LossLayer> MakeCrossEntropy(const trainer::CrossEntropySpec& spec) override {
    return std::make_unique<CountsTwice>(context_, spec);
  }
};

}  // namespace

extern const Fault fault_tp_loss_plus_log_tp;
const Fault fault_tp_loss_plus_log_tp{
    .name = "tp.loss_plus_log_tp",
    .kind = "tensor",
    .mechanism = "Gathered logits are treated as sharded: every class is counted once a tensor rank.",
    .met_in = "Megatron-LM#7452",
    .case_id = "tp.even/tp=2",
    .check = "noise_ratio",
    .step = 1,
    .phase = "forward",
    .tensor = "",
    .diagnosis = "log",
    .make = Make<ReplaceLayers<Layers>>};

}  // namespace lockstep::faults
