#include "reference/trainer/tensor_set.h"

namespace lockstep::trainer {

using protocol::DType;

void TensorSet::Add(device::Device& device, const std::string& name, DType type, const protocol::Slice& slice,
                    const void* data) {
  protocol::Tensor tensor = protocol::Tensor::Zeros(type, slice.shape);
  device.ToHost(tensor.bytes.data(), data, tensor.bytes.size());
  tensors.insert_or_assign(name, std::move(tensor));
  slices.insert_or_assign(name, slice);
}

void AddGradients(const RankContext& context, const ParameterStore& store, const std::string& prefix, TensorSet& set) {
  for (const auto& parameter : store.all()) {
    if (parameter->size() == 0) continue;
    set.Add(context.device, prefix + parameter->name, DType::kF32, parameter->slice, parameter->gradients[0].data);
  }
}

void AddParameters(const RankContext& context, const ParameterStore& store, TensorSet& set) {
  for (const auto& parameter : store.all()) {
    if (parameter->size() == 0) continue;
    set.Add(context.device, "param/" + parameter->name, DType::kF32, parameter->slice, parameter->value.data());
    if (!parameter->working) continue;
    set.Add(context.device, "working/" + parameter->name, DType::kBF16, parameter->slice, parameter->working.data());
  }
}

void AddState(const RankContext& context, const ParameterStore& store, TensorSet& set) {
  const auto names = protocol::StateNames(context.request.workload.optimizer.kind);
  for (const auto& parameter : store.all()) {
    for (std::size_t i = 0; i < parameter->state.size(); ++i) {
      set.Add(context.device, "state/" + parameter->name + "/" + names[i], DType::kF32, parameter->slice,
              parameter->state[i].data());
    }
  }
}

}  // namespace lockstep::trainer
