// Slices on their way from the device to a file: evidence and checkpoints.
#pragma once

#include <map>
#include <string>

#include "reference/trainer/parameters.h"

namespace lockstep::trainer {

struct TensorSet {
  std::map<std::string, protocol::Tensor> tensors;  // "grad/NAME", "param/NAME", "state/NAME/STATE", "working/NAME"
  std::map<std::string, protocol::Slice> slices;    // of each

  // fp32 or bf16 elements of `slice` at `data`.
  void Add(device::Device& device, const std::string& name, protocol::DType type, const protocol::Slice& slice,
           const void* data);
};

void AddGradients(const RankContext& context, const ParameterStore& store, const std::string& prefix, TensorSet& set);
void AddParameters(const RankContext& context, const ParameterStore& store, TensorSet& set);  // and working copies
void AddState(const RankContext& context, const ParameterStore& store, TensorSet& set);

}  // namespace lockstep::trainer
