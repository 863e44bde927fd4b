#include <string>

#include "reference/trainer/model/build.h"

namespace lockstep::trainer {
namespace {

// Under tensor parallelism layers pair up from the stage's first: column, row. The last of an odd number is whole on
// every rank.
enum class Role { kColumn, kRow, kWhole };

Role RoleOf(std::int64_t position, std::int64_t units) {
  if (position % 2 == 1) return Role::kRow;
  return position + 1 < units ? Role::kColumn : Role::kWhole;
}

std::unique_ptr<Layer> MakeLayer(const RankContext& context, ParameterStore& parameters, LayerFactory& factory,
                                 std::int64_t layer, Role role) {
  const protocol::Model& model = context.model();
  device::Communicator& tensor = *context.groups.tensor;
  const auto part = [&](std::int64_t width, bool split) {
    return split ? protocol::Split(width, tensor.Size(), tensor.Rank()).size : width;
  };
  const auto i = static_cast<std::size_t>(layer);
  const std::string prefix = "layers." + std::to_string(layer) + ".";
  // Layers between pairs see this rank's rows alone under sequence parallelism: so do their gradients.
  const Gradients weight_gradients = role == Role::kWhole ? Gradients::kPartial : Gradients::kWhole;
  const Gradients bias_gradients = role == Role::kColumn ? Gradients::kWhole : Gradients::kPartial;
  const int weight_axis = role == Role::kColumn ? 0 : role == Role::kRow ? 1 : -1;
  const int bias_axis = role == Role::kColumn ? 0 : -1;
  LinearSpec spec{.weight = parameters.Declare(prefix + "weight", weight_axis, true, weight_gradients),
                  .bias = parameters.Declare(prefix + "bias", bias_axis, false, bias_gradients),
                  .in = part(model.sizes[i], role == Role::kRow),
                  .out = part(model.sizes[i + 1], role == Role::kColumn),
                  .activation = std::nullopt,
                  .input_gradient = layer > 0,
                  .group = role == Role::kWhole ? nullptr : &tensor};
  if (layer + 1 < model.PipelineUnits()) spec.activation = model.activation;
  return role == Role::kRow ? factory.MakeRowParallel(spec) : factory.MakeColumnParallel(spec);
}

}  // namespace

void BuildMlp(const RankContext& context, ParameterStore& parameters, LayerFactory& factory, std::int64_t first,
              Stage& stage) {
  const protocol::Model& model = context.model();
  stage.input_width = stage.first ? 0 : model.sizes[static_cast<std::size_t>(first)];
  stage.output_width = stage.last ? 0 : model.sizes[static_cast<std::size_t>(first + stage.units)];
  for (std::int64_t i = 0; i < stage.units; ++i) {
    stage.layers.push_back(MakeLayer(context, parameters, factory, first + i, RoleOf(i, stage.units)));
  }
  if (!stage.last) return;
  auto loss = model.loss == protocol::LossKind::kCrossEntropy
                  ? factory.MakeCrossEntropy({.vocabulary = nullptr, .first = 0, .count = model.sizes.back()})
                  : factory.MakeSquaredError();
  stage.loss = loss.get();
  stage.layers.push_back(std::move(loss));
}

}  // namespace lockstep::trainer
