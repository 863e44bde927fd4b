// Clipping and the three optimizers of PROTOCOL.md, "Optimizers".
#include "harness/oracle/optimizer.h"

#include <cmath>

#include "harness/protocol/parameters.h"

namespace lockstep::oracle {
namespace {

void Sgd(double rate, double decay, const std::vector<double>& gradient, std::vector<double>& p) {
  for (std::size_t i = 0; i < p.size(); ++i) {
    const double g = gradient.at(i) + decay * p[i];
    p[i] -= rate * g;
  }
}

void Momentum(const protocol::Optimizer& o, double rate, double decay, const std::vector<double>& gradient,
              std::vector<double>& p, std::vector<double>& v) {
  for (std::size_t i = 0; i < p.size(); ++i) {
    const double g = gradient.at(i) + decay * p[i];
    v.at(i) = o.momentum * v.at(i) + g;
    p[i] -= rate * v[i];
  }
}

void AdamW(const protocol::Optimizer& o, double rate, double decay, std::int64_t step,
           const std::vector<double>& gradient, std::vector<double>& p, std::vector<double>& m,
           std::vector<double>& v) {
  const double m_correction = 1 - std::pow(o.beta1, static_cast<double>(step));
  const double v_correction = 1 - std::pow(o.beta2, static_cast<double>(step));
  for (std::size_t i = 0; i < p.size(); ++i) {
    const double g = gradient.at(i);
    p[i] -= rate * decay * p[i];
    m.at(i) = o.beta1 * m.at(i) + (1 - o.beta1) * g;
    v.at(i) = o.beta2 * v.at(i) + (1 - o.beta2) * g * g;
    p[i] -= rate * (m[i] / m_correction) / (std::sqrt(v[i] / v_correction) + o.epsilon);
  }
}

}  // namespace

double GlobalNorm(const protocol::Model& model, const Values& gradients) {
  double sum = 0;
  for (const protocol::Parameter& parameter : protocol::Parameters(model)) {
    for (const double g : gradients.at(parameter.name)) sum += g * g;
  }
  return std::sqrt(sum);
}

Values InitialState(const protocol::Workload& workload) {
  Values state;
  for (const protocol::Parameter& parameter : protocol::Parameters(workload.model)) {
    for (const std::string& name : protocol::StateNames(workload.optimizer.kind)) {
      state[parameter.name + "/" + name].assign(static_cast<std::size_t>(parameter.size()), 0.0);
    }
  }
  return state;
}

void Update(const protocol::Workload& workload, const TraceStep& previous, std::int64_t number, TraceStep& step) {
  const protocol::Optimizer& o = workload.optimizer;
  step.gradient_norm = GlobalNorm(workload.model, step.gradients);
  step.learning_rate = protocol::LearningRate(o, number);
  step.clipped = step.gradients;
  const double factor = o.clip_norm > 0 ? o.clip_norm / (step.gradient_norm + 1e-6) : 1.0;
  if (factor < 1) {
    for (auto& [name, values] : step.clipped) {
      for (double& g : values) g *= factor;
    }
  }

  step.parameters = previous.parameters;
  step.state = previous.state;
  for (const protocol::Parameter& parameter : protocol::Parameters(workload.model)) {
    const double decay = parameter.decayed ? o.weight_decay : 0.0;
    const std::vector<double>& g = step.clipped.at(parameter.name);
    std::vector<double>& p = step.parameters.at(parameter.name);
    const auto state = [&](const char* name) -> std::vector<double>& {
      return step.state.at(parameter.name + "/" + name);
    };
    switch (o.kind) {
      case protocol::OptimizerKind::kSgd:
        Sgd(step.learning_rate, decay, g, p);
        break;
      case protocol::OptimizerKind::kMomentum:
        Momentum(o, step.learning_rate, decay, g, p, state("momentum"));
        break;
      case protocol::OptimizerKind::kAdamW:
        AdamW(o, step.learning_rate, decay, number, g, p, state("exp_avg"), state("exp_avg_sq"));
        break;
    }
  }
}

}  // namespace lockstep::oracle
