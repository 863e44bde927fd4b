// Initial parameters, of both kinds.
#include "harness/protocol/parameters.h"

#include <cmath>

#include "harness/inputs/generator.h"
#include "harness/inputs/parts.h"

namespace lockstep::inputs {
namespace {

enum class Role { kWeight, kBias, kNormWeight };

Role RoleOf(const protocol::Parameter& parameter) {
  if (parameter.name.ends_with(".bias")) return Role::kBias;
  return parameter.decayed ? Role::kWeight : Role::kNormWeight;
}

// Inputs of one output: the last dimension, or (H, D) of attention's projection, whose weight is (C, H, D).
std::int64_t FanIn(const protocol::Parameter& parameter) {
  const protocol::Shape& shape = parameter.shape;
  return shape.size() == 3 ? shape[1] * shape[2] : shape.back();
}

template <typename Draw>
Tensors Fill(const protocol::Workload& workload, const Draw& draw) {
  Tensors tensors;
  for (const protocol::Parameter& parameter : protocol::Parameters(workload.model)) {
    Generator random(workload.seed, parameter.name);
    std::vector<double> values(static_cast<std::size_t>(parameter.size()));
    for (double& value : values) value = Representable(workload.precision, draw(parameter, random));
    tensors[parameter.name] = protocol::Tensor::FromDoubles(protocol::DType::kF64, parameter.shape, values);
  }
  return tensors;
}

}  // namespace

double Representable(protocol::Precision precision, double value) {
  const float single = static_cast<float>(value);
  if (precision != protocol::Precision::kBF16) return single;
  return protocol::BFloat16ToFloat(protocol::FloatToBFloat16(single));
}

Tensors TellingParameters(const protocol::Workload& workload) {
  return Fill(workload, [](const protocol::Parameter& parameter, Generator& random) {
    switch (RoleOf(parameter)) {
      case Role::kBias:
        return 0.1 * random.Normal();
      case Role::kNormWeight:
        return 0.8 + 0.4 * random.Uniform();
      default:
        return 0.8 / std::sqrt(static_cast<double>(FanIn(parameter))) * random.Normal();
    }
  });
}

Tensors TrainableParameters(const protocol::Workload& workload) {
  const protocol::Model& model = workload.model;
  const bool gpt = model.kind == protocol::ModelKind::kGpt;
  return Fill(workload, [&](const protocol::Parameter& parameter, Generator& random) {
    if (RoleOf(parameter) == Role::kBias) return 0.0;
    if (RoleOf(parameter) == Role::kNormWeight) return 1.0;
    if (!gpt) return std::sqrt(2.0 / static_cast<double>(FanIn(parameter))) * random.Normal();
    const bool residual = parameter.name.ends_with(".proj.weight");
    return (residual ? 0.02 / std::sqrt(2.0 * static_cast<double>(model.layers)) : 0.02) * random.Normal();
  });
}

}  // namespace lockstep::inputs
