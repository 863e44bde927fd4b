// How PyTorch spells things in its profiler's traces.
#pragma once

#include <string>
#include <string_view>

namespace lockstep::stalls {

inline constexpr std::string_view kStepPrefix = "ProfilerStep#";
inline constexpr std::string_view kOptimizerStepPrefix = "Optimizer.step#";
inline constexpr std::string_view kZeroGradPrefix = "Optimizer.zero_grad#";
inline constexpr std::string_view kDataPrefix = "enumerate(DataLoader)";
inline constexpr std::string_view kBackwardPrefix = "autograd::engine::evaluate_function: ";
inline constexpr std::string_view kDdpForward = "DistributedDataParallel.forward";
inline constexpr std::string_view kCallPrefix = "c10d::";  // of a collective, on the thread that asks for it

inline constexpr std::string_view kOperationCategory = "cpu_op";
inline constexpr std::string_view kAnnotationCategory = "user_annotation";

// DDP's own work on gradients, outside of autograd.
bool IsReducer(std::string_view name);
// "gloo:all_reduce", "nccl:all_reduce", "mpi:...": what a backend's thread does of a collective.
bool IsBackendWork(std::string_view name);
// "all_reduce" of "c10d::allreduce_", "gloo:all_reduce", "_allgather_base", "ncclDevKernel_AllReduce_Sum_f32_RING_LL";
// "" of what is no collective. Unknown ones keep their name.
std::string CollectiveNameOf(std::string_view name);
bool IsPointToPoint(std::string_view operation);

}  // namespace lockstep::stalls
