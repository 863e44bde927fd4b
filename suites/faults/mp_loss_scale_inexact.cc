// mp.loss_scale_inexact: The loss is scaled by a number that is no power of two: undoing it rounds.
#include "suites/faults/fault.h"
#include "suites/faults/replace.h"

namespace lockstep::faults {
namespace {

constexpr float kScale = 1000;

class Scaled : public trainer::LossScale {
 public:
  using LossScale::LossScale;
  float OfGradients(const trainer::StepCounts& counts, std::int64_t micro_batch) const override {
    return kScale * LossScale::OfGradients(counts, micro_batch);
  }
};

class Unscaled : public trainer::GradientReducer {
 public:
  using GradientReducer::GradientReducer;
  void Finish() override {
    GradientReducer::Finish();
    for (const trainer::GradientArena::Place& place : arena_.places()) {
      context_.device.Scale(place.size, 1 / kScale, arena_.data() + place.begin);
    }
  }
};

class Scaler : public trainer::Seams {
 public:
  std::unique_ptr<trainer::LossScale> MakeLossScale(const RankContext& context) override {
    return std::make_unique<Scaled>(context);
  }
  std::unique_ptr<trainer::GradientReducer> MakeReducer(const RankContext& context,
                                                        trainer::GradientArena& arena) override {
    return std::make_unique<Unscaled>(context, arena);
  }
};

}  // namespace

extern const Fault fault_mp_loss_scale_inexact;
const Fault fault_mp_loss_scale_inexact{
    .name = "mp.loss_scale_inexact",
    .kind = "precision",
    .mechanism = "The loss is scaled by a number that is no power of two: undoing it rounds.",
    .met_in = "jax-scaled-arithmetics#60",
    .case_id = "dp.exact_grid/dp=2",
    .check = "exact_grid",
    .step = 1,
    .phase = "optimizer",
    .tensor = "layers.2.bias",
    .diagnosis = "rounded where nothing need round",
    .make = Make<Scaler>};

}  // namespace lockstep::faults
