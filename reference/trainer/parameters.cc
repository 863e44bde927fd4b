#include "reference/trainer/parameters.h"

#include <algorithm>
#include <stdexcept>

namespace lockstep::trainer {

using device::Category;
using protocol::Tensor;

device::Matrix ParameterUse::Factor(bool transposed) const {
  const device::Buffer& working = parameter_->working;
  if (working) return {.data = working.data(), .element = device::Element::kBF16, .transposed = transposed};
  return {.data = parameter_->value.data(), .element = device::Element::kF32, .transposed = transposed};
}

float* ParameterUse::GradientToAdd(device::Device& device) const {
  GradientPart& part = parameter_->gradients.at(use_);
  if (!part.touched) device.Zero(part.data, parameter_->bytes());
  part.touched = true;
  return part.data;
}

float* ParameterUse::GradientToWrite(bool& accumulate) const {
  GradientPart& part = parameter_->gradients.at(use_);
  accumulate = part.touched;
  part.touched = true;
  return part.data;
}

ParameterStore::ParameterStore(const RankContext& context)
    : context_(context), canonical_(protocol::Parameters(context.model())) {}

ParameterUse ParameterStore::Declare(const std::string& name, int axis, bool product, Gradients gradients) {
  const auto known = std::find_if(all_.begin(), all_.end(), [&](const auto& p) { return p->name == name; });
  if (known != all_.end()) {
    LocalParameter& parameter = **known;
    parameter.product = parameter.product || product;
    parameter.gradients.emplace_back();
    return {parameter, parameter.gradients.size() - 1};
  }
  const auto entry = std::find_if(canonical_.begin(), canonical_.end(), [&](const auto& p) { return p.name == name; });
  if (entry == canonical_.end()) throw std::logic_error("no canonical parameter " + name);
  auto parameter = std::make_unique<LocalParameter>();
  parameter->name = name;
  parameter->canonical = static_cast<std::size_t>(entry - canonical_.begin());
  parameter->decayed = entry->decayed;
  parameter->product = product;
  parameter->slice = protocol::Slice::Whole(entry->shape);
  const device::Communicator& tensor = *context_.groups.tensor;
  if (axis >= 0 && tensor.Size() > 1) {
    const auto a = static_cast<std::size_t>(axis);
    const protocol::Run run = protocol::Split(entry->shape[a], tensor.Size(), tensor.Rank());
    parameter->slice.offset[a] = run.begin;
    parameter->slice.shape[a] = run.size;
    parameter->sharded = true;
  }
  parameter->partial = context_.sequence_parallel() && gradients == Gradients::kPartial;
  parameter->counted = (parameter->sharded || tensor.Rank() == 0) && context_.groups.mirror->Rank() == 0;
  parameter->gradients.emplace_back();
  all_.push_back(std::move(parameter));
  return {*all_.back(), 0};
}

Tensor InitialParameters::Load(const LocalParameter& parameter, const std::string& state) {
  Tensor part = Tensor::Zeros(protocol::DType::kF32, parameter.slice.shape);
  if (!state.empty()) return part;
  const auto values = protocol::Extract(context_.inputs.parameters.at(parameter.name), parameter.slice).ToDoubles();
  std::transform(values.begin(), values.end(), part.As<float>().begin(),
                 [](double value) { return static_cast<float>(value); });
  return part;
}

void LoadParameters(const RankContext& context, ParameterStore& store, ParameterSource& source) {
  const auto states = protocol::StateNames(context.request.workload.optimizer.kind);
  const auto place = [&](const LocalParameter& parameter, const std::string& state, Category category) {
    const Tensor values = source.Load(parameter, state);
    device::Buffer buffer = context.device.Allocate(values.bytes.size(), category);
    context.device.ToDevice(buffer.data(), values.bytes.data(), values.bytes.size());
    return buffer;
  };
  for (const auto& parameter : store.all()) {
    if (parameter->size() == 0) continue;
    parameter->value = place(*parameter, "", Category::kParameters);
    parameter->state.clear();
    for (const std::string& state : states) {
      parameter->state.push_back(place(*parameter, state, Category::kOptimizer));
    }
    if (context.bf16() && parameter->product) {
      parameter->working = context.device.Allocate(parameter->bytes() / 2, Category::kParameters);
    }
  }
}

void WorkingCopies::Refresh(ParameterStore& store) {
  for (const auto& parameter : store.all()) {
    if (!parameter->working) continue;
    context_.device.ToBF16(parameter->size(), parameter->value.f32(), parameter->working.bf16());
  }
}

}  // namespace lockstep::trainer
