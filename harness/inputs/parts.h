// What Make() is put together from: one function a kind of data, one file each.
//
// Initial parameters and features are made exactly representable in the type that trainers round them to (bf16 for bf16
// workloads, else fp32): no trainer starts with a rounding of its own, so that none enters a comparison.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "harness/protocol/inputs.h"

namespace lockstep::inputs {

using Tensors = std::map<std::string, protocol::Tensor>;

// The nearest number that `precision` holds: bf16's for bf16, fp32's for fp32 and fp64.
double Representable(protocol::Precision precision, double value);

// Initial parameters that hide nothing: weights of 0.8 / sqrt(fan in), biases of 0.1, norm weights within 1 +- 0.2.
Tensors TellingParameters(const protocol::Workload& workload);

// Initial parameters that train well: GPT-2's for gpt (0.02, projections onto the residual stream by 1/sqrt(2 L) less,
// norms 1, biases 0), He's for mlp.
Tensors TrainableParameters(const protocol::Workload& workload);

Tensors SeededData(const protocol::Workload& workload);

// Parameters and data of the exact grid. Throws BadInput where the workload can't be exact.
protocol::Inputs ExactGrid(const protocol::Workload& workload);

// Data and form of a file. Throws BadInput naming the file.
protocol::Inputs FileData(const protocol::Workload& workload);

// The order of a workload's samples; throws BadInput where a full batch can't be had. `where` names what to mend.
protocol::Tensor OrderOf(const protocol::Workload& workload, std::int64_t samples, const std::string& where);

}  // namespace lockstep::inputs
