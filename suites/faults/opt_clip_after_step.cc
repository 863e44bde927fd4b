// opt.clip_after_step: The clipped norm is reported, but the update has used the unclipped gradient.
#include "suites/faults/fault.h"
#include "suites/faults/replace.h"

namespace lockstep::faults {
namespace {

class UnclippedStep : public trainer::OptimizerStep {
 public:
  using OptimizerStep::OptimizerStep;

 protected:
  void Update(std::int64_t step, trainer::LocalParameter& parameter, const float* gradient) override {
    trainer::Clipper norm(context_, store_);
    if (step != step_) factor_ = norm_before_ / norm.Norm();
    step_ = step;
    auto copy = context_.device.Allocate(parameter.bytes(), device::Category::kWorkspace);
    context_.device.Copy(copy.data(), gradient, parameter.bytes());
    context_.device.Scale(parameter.size(), static_cast<float>(factor_), copy.f32());
    OptimizerStep::Update(step, parameter, copy.f32());
  }

 private:
  friend class KeepsNorm;
  std::int64_t step_ = 0;
  double factor_ = 1;
  double norm_before_ = 0;
};

// Tells the optimizer what the norm was before clipping.
class KeepsNorm : public trainer::Clipper {
 public:
  KeepsNorm(const RankContext& context, trainer::ParameterStore& store, UnclippedStep*& step)
      : Clipper(context, store), optimizer_(step) {}
  void Apply(double norm) override {
    optimizer_->norm_before_ = norm;
    Clipper::Apply(norm);
  }

 private:
  UnclippedStep*& optimizer_;
};

class ClipAfterStep : public trainer::Seams {
 public:
  std::unique_ptr<trainer::Clipper> MakeClipper(const RankContext& context, trainer::ParameterStore& store) override {
    return std::make_unique<KeepsNorm>(context, store, optimizer_);
  }
  std::unique_ptr<trainer::OptimizerStep> MakeOptimizer(const RankContext& context,
                                                        trainer::ParameterStore& store) override {
    auto optimizer = std::make_unique<UnclippedStep>(context, store);
    optimizer_ = optimizer.get();
    return optimizer;
  }

 private:
  UnclippedStep* optimizer_ = nullptr;
};

}  // namespace

extern const Fault fault_opt_clip_after_step;
const Fault fault_opt_clip_after_step{
    .name = "opt.clip_after_step",
    .kind = "clip",
    .mechanism = "The clipped norm is reported, but the update has used the unclipped gradient.",
    .met_in = "DeepSpeed#5150",
    .case_id = "opt.momentum_clip/dp=3",
    .check = "optimizer_replay",
    .step = 1,
    .phase = "optimizer",
    .tensor = "",
    .diagnosis = "unclipped",
    .make = Make<ClipAfterStep>};

}  // namespace lockstep::faults
