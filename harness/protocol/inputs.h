// The numbers a request comes with: initial parameters and the data set, in memory and as the request's two files.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "harness/protocol/tensor.h"
#include "harness/protocol/workload.h"

namespace lockstep::protocol {

struct Inputs {
  std::map<std::string, Tensor> parameters;  // F64, by canonical name
  std::map<std::string, Tensor> data;        // "order", "inputs", "targets", "valid", "stream"
  std::string form = "samples";
};

void WriteInputs(const std::filesystem::path& request_folder, const Inputs& inputs);
Inputs ReadInputs(const std::filesystem::path& request_folder, const Workload& workload);  // checked by ValidateInputs

// BadInput where a tensor is missing, of the wrong type or shape, an id is out of range, a token is not in the
// vocabulary.
void ValidateInputs(const Inputs& inputs, const Workload& workload, const std::string& where);

// Sample ids of one step's global batch (steps count from 1), without the -1 entries at the end.
std::vector<std::int64_t> BatchSamples(const Tensor& order, std::int64_t step);

// SHA-256 over names, types, shapes and bytes: the key of cached oracle traces, with the workload's own.
std::string HashInputs(const Inputs& inputs);

}  // namespace lockstep::protocol
