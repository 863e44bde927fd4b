#include "reference/trainer/model/parallel_linear.h"

#include <utility>

#include "reference/trainer/model/row_sums.h"

namespace lockstep::trainer {

using device::Epilogue;
using protocol::Activation;

namespace {

Epilogue EpilogueOf(const LinearSpec& spec) {
  if (!spec.bias) return Epilogue::kNone;
  if (!spec.activation) return Epilogue::kBias;
  return *spec.activation == Activation::kRelu ? Epilogue::kBiasRelu : Epilogue::kBiasGelu;
}

// The product with its epilogue; `before` gets what the activation's derivative needs: for ReLU the result itself.
Activations Whole(const Linear& linear, const LinearSpec& spec, const Operand& x, Activations* before) {
  const float* bias = spec.bias ? spec.bias->value() : nullptr;
  const bool gelu = spec.activation == Activation::kGelu;
  Activations y = linear.Forward(x, EpilogueOf(spec), bias, gelu ? before : nullptr);
  if (spec.activation == Activation::kRelu) *before = y;
  return y;
}

void BiasBackward(const RankContext& context, const LinearSpec& spec, const Activations& d_y) {
  if (!spec.bias || d_y.size() == 0) return;
  context.device.BiasBackward(d_y.rows, d_y.width, d_y.data(), spec.bias->GradientToAdd(context.device));
}

// The gradient of what the activation is applied to. `before`: what its derivative is taken at.
Activations ActivationGradient(const RankContext& context, const LinearSpec& spec, const Activations& before,
                               const Activations& d_y) {
  return spec.activation ? ActivationBackward(context, *spec.activation, before, d_y) : d_y;
}

Activations BiasSums(const RankContext& context, const LinearSpec& spec, const Activations& d_y) {
  if (!spec.bias || d_y.size() == 0) return {};
  Activations sums = NewRowSums(context, 1, d_y.width);
  context.device.BiasBackward(d_y.rows, d_y.width, d_y.data(), sums.data());
  return sums;
}

void AddDeferred(const RankContext& context, const LinearSpec& spec, const Linear& linear,
                 const DeferredProduct& deferred) {
  linear.BackwardWeight(deferred.d_y, deferred.x);
  if (spec.bias) AddRowSum(context, deferred.bias, 0, *spec.bias);
}

std::vector<LocalParameter*> ParametersOf(const LinearSpec& spec) {
  std::vector<LocalParameter*> parameters{&spec.weight.parameter()};
  if (spec.bias) parameters.push_back(&spec.bias->parameter());
  return parameters;
}

}  // namespace

ColumnParallelLinear::ColumnParallelLinear(const RankContext& context, const LinearSpec& spec)
    : context_(context),
      spec_(spec),
      linear_(context, spec.weight, spec.in, spec.out),
      rows_(context.device, spec.group, context.sequence_parallel()) {}

std::vector<LocalParameter*> ColumnParallelLinear::Parameters() const { return ParametersOf(spec_); }

void ColumnParallelLinear::Clear() {
  kept_.Clear();
  deferred_.Clear();
}

Activations ColumnParallelLinear::Forward(const MicroBatch& micro_batch, const Activations& x) {
  Saved saved{.x = MakeOperand(context_, rows_.Gather(micro_batch, x)), .before = {}};
  Activations y = Whole(linear_, spec_, saved.x, &saved.before);
  kept_.Put(micro_batch, std::move(saved));
  return y;
}

Activations ColumnParallelLinear::Backward(const MicroBatch& micro_batch, const Activations& d_y) {
  Saved saved = kept_.Take(micro_batch);
  const Activations d = ActivationGradient(context_, spec_, saved.before, d_y);
  saved.before = {};
  const Operand d_operand = MakeOperand(context_, d);
  TensorRows::Pending d_x;
  if (spec_.input_gradient) d_x = rows_.StartReduce(micro_batch, linear_.BackwardInput(d_operand));
  linear_.BackwardWeight(d_operand, saved.x);
  BiasBackward(context_, spec_, d);
  return d_x.Wait();
}

Activations ColumnParallelLinear::InputGradient(const MicroBatch& micro_batch, const Activations& d_y) {
  Saved saved = kept_.Take(micro_batch);
  DeferredProduct deferred{.d_y = {}, .x = std::move(saved.x), .bias = {}};
  {
    const Activations d = ActivationGradient(context_, spec_, saved.before, d_y);
    saved.before = {};
    deferred.d_y = MakeOperand(context_, d);
    deferred.bias = BiasSums(context_, spec_, d);
  }
  TensorRows::Pending d_x;
  if (spec_.input_gradient) d_x = rows_.StartReduce(micro_batch, linear_.BackwardInput(deferred.d_y));
  deferred_.Put(micro_batch, std::move(deferred));
  return d_x.Wait();
}

void ColumnParallelLinear::WeightGradient(const MicroBatch& micro_batch) {
  AddDeferred(context_, spec_, linear_, deferred_.Take(micro_batch));
}

RowParallelLinear::RowParallelLinear(const RankContext& context, const LinearSpec& spec)
    : context_(context),
      spec_(spec),
      linear_(context, spec.weight, spec.in, spec.out),
      rows_(context.device, spec.group, context.sequence_parallel()) {}

std::vector<LocalParameter*> RowParallelLinear::Parameters() const { return ParametersOf(spec_); }

void RowParallelLinear::Clear() {
  kept_.Clear();
  deferred_.Clear();
}

Activations RowParallelLinear::Finish(Activations sum, Activations* before) const {
  device::Device& device = context_.device;
  if (spec_.bias) device.AddBias(sum.rows, sum.width, spec_.bias->value(), sum.data());
  if (!spec_.activation) return sum;
  Activations y = NewActivations(device, sum.rows, sum.width);
  if (*spec_.activation == Activation::kRelu) {
    device.ReluBackward(sum.size(), sum.data(), sum.data(), y.data());  // x > 0 ? x : 0
    *before = y;
  } else {
    device.GeluForward(sum.size(), sum.data(), y.data());
    *before = std::move(sum);
  }
  return y;
}

Activations RowParallelLinear::Forward(const MicroBatch& micro_batch, const Activations& x) {
  Saved saved{.x = MakeOperand(context_, x), .before = {}};
  Activations y;
  if (rows_.Parallel()) {
    y = Finish(rows_.Reduce(micro_batch, linear_.Forward(saved.x, Epilogue::kNone, nullptr, nullptr)), &saved.before);
  } else {
    y = Whole(linear_, spec_, saved.x, &saved.before);
  }
  kept_.Put(micro_batch, std::move(saved));
  return y;
}

Activations RowParallelLinear::Backward(const MicroBatch& micro_batch, const Activations& d_y) {
  Saved saved = kept_.Take(micro_batch);
  const Activations d = ActivationGradient(context_, spec_, saved.before, d_y);
  saved.before = {};
  BiasBackward(context_, spec_, d);
  const Operand d_operand = MakeOperand(context_, rows_.Gather(micro_batch, d));
  Activations d_x = linear_.BackwardInput(d_operand);
  linear_.BackwardWeight(d_operand, saved.x);
  return d_x;
}

Activations RowParallelLinear::InputGradient(const MicroBatch& micro_batch, const Activations& d_y) {
  Saved saved = kept_.Take(micro_batch);
  DeferredProduct deferred{.d_y = {}, .x = std::move(saved.x), .bias = {}};
  {
    const Activations d = ActivationGradient(context_, spec_, saved.before, d_y);
    saved.before = {};
    deferred.bias = BiasSums(context_, spec_, d);
    deferred.d_y = MakeOperand(context_, rows_.Gather(micro_batch, d));
  }
  Activations d_x = linear_.BackwardInput(deferred.d_y);
  deferred_.Put(micro_batch, std::move(deferred));
  return d_x;
}

void RowParallelLinear::WeightGradient(const MicroBatch& micro_batch) {
  AddDeferred(context_, spec_, linear_, deferred_.Take(micro_batch));
}

}  // namespace lockstep::trainer
