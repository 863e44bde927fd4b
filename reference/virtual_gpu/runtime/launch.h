// Launching a kernel: what `<<<>>>` is to nvcc. `.cu` files that both builds share go through one template of theirs,
// which calls Launch here and cudaLaunchKernelEx there.
#pragma once

#include <cuda_runtime_api.h>

#include <array>
#include <cstddef>
#include <memory>
#include <tuple>
#include <type_traits>
#include <utility>

#include "reference/virtual_gpu/engine/kernel_body.h"

namespace lockstep::virtual_gpu {

// A kernel with a copy of its arguments, as a real launch makes one: the caller's may change after the call.
template <typename... Parameters>
class BoundKernel final : public KernelBody {
  static_assert((!std::is_reference_v<Parameters> && ...), "a kernel takes its parameters by value");

 public:
  template <typename... Arguments>
  explicit BoundKernel(void (*kernel)(Parameters...), Arguments&&... arguments)
      : kernel_(kernel), arguments_(static_cast<Parameters>(std::forward<Arguments>(arguments))...) {
    // The compiler must not see which kernel this is: it would take RunThread for a direct call, which is an error.
    asm volatile("" : "+r"(kernel_));
    ListPointers(std::index_sequence_for<Parameters...>());
  }
  void RunThread() const override { std::apply(kernel_, arguments_); }
  std::span<const PointerArgument> Pointers() const override { return pointers_; }

 private:
  template <typename T>
  static constexpr bool kPointsToData = std::is_pointer_v<T> && !std::is_function_v<std::remove_pointer_t<T>>;
  static constexpr std::size_t kPointers = (std::size_t{0} + ... + (kPointsToData<Parameters> ? 1 : 0));

  template <std::size_t... Index>
  void ListPointers(std::index_sequence<Index...>) {
    [[maybe_unused]] std::size_t next = 0;
    [[maybe_unused]] const auto add = [&](std::size_t index, const auto& argument) {
      if constexpr (kPointsToData<std::remove_cvref_t<decltype(argument)>>) {
        pointers_[next++] = {static_cast<int>(index), argument};
      }
    };
    (add(Index, std::get<Index>(arguments_)), ...);
  }

  void (*kernel_)(Parameters...);
  std::tuple<Parameters...> arguments_;
  std::array<PointerArgument, kPointers> pointers_{};
};

// Enqueues a grid. `function` identifies the kernel (its attributes), `name` is what diagnoses say and lives for ever.
// cudaErrorInvalidConfiguration for a grid or block that no device takes, cudaErrorInvalidValue for more dynamic shared
// memory than the kernel was given by cudaFuncSetAttribute (48 KiB without).
cudaError_t LaunchBody(cudaStream_t stream, dim3 grid, dim3 block, std::size_t shared_bytes, const char* name,
                       const void* function, std::shared_ptr<const KernelBody> body);

template <typename... Parameters, typename... Arguments>
cudaError_t Launch(cudaStream_t stream, dim3 grid, dim3 block, std::size_t shared_bytes, const char* name,
                   void (*kernel)(Parameters...), Arguments&&... arguments) {
  static_assert(sizeof...(Parameters) == sizeof...(Arguments), "as many arguments as the kernel has parameters");
  return LaunchBody(stream, grid, block, shared_bytes, name, reinterpret_cast<const void*>(kernel),
                    std::make_shared<BoundKernel<Parameters...>>(kernel, std::forward<Arguments>(arguments)...));
}

cudaError_t Occupancy(int* blocks, int block_threads, std::size_t shared_bytes);

}  // namespace lockstep::virtual_gpu
