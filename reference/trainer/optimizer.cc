#include "reference/trainer/optimizer.h"

#include <cmath>

namespace lockstep::trainer {

double OptimizerStep::LearningRate(std::int64_t step) const {
  return protocol::LearningRate(context_.request.workload.optimizer, step);
}

void OptimizerStep::Apply(std::int64_t step) {
  for (const auto& parameter : store_.all()) {
    if (parameter->size() > 0) Update(step, *parameter, parameter->gradients[0].data);
  }
}

void OptimizerStep::Update(std::int64_t step, LocalParameter& parameter, const float* gradient) {
  const protocol::Optimizer& optimizer = context_.request.workload.optimizer;
  device::Device& device = context_.device;
  const auto rate = static_cast<float>(LearningRate(step));
  const auto decay = static_cast<float>(parameter.decayed ? optimizer.weight_decay : 0.0);
  const std::int64_t n = parameter.size();
  float* p = parameter.value.f32();
  switch (optimizer.kind) {
    case protocol::OptimizerKind::kSgd:
      device.SgdStep(n, rate, decay, gradient, p);
      break;
    case protocol::OptimizerKind::kMomentum:
      device.MomentumStep(n, rate, static_cast<float>(optimizer.momentum), decay, gradient, parameter.state[0].f32(),
                          p);
      break;
    case protocol::OptimizerKind::kAdamW: {
      const auto correction = [step](double beta) {
        return static_cast<float>(1 - std::pow(beta, static_cast<double>(step)));
      };
      device.AdamWStep(n, rate, static_cast<float>(optimizer.beta1), static_cast<float>(optimizer.beta2),
                       static_cast<float>(optimizer.epsilon), decay, correction(optimizer.beta1),
                       correction(optimizer.beta2), gradient, parameter.state[0].f32(), parameter.state[1].f32(), p);
      break;
    }
  }
}

}  // namespace lockstep::trainer
