#include "reference/virtual_gpu/nccl/reduce.h"

#include <cuda_bf16.h>
#include <nccl.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <type_traits>

namespace lockstep::virtual_gpu::nccl {
namespace {

constexpr std::int64_t kBlock = 1024;

template <typename T>
constexpr bool kFloating = !std::is_integral_v<T>;

// Arithmetic of integers wraps around.
template <typename T>
struct Add {
  static T Of(T a, T b) {
    if constexpr (kFloating<T>) {
      return a + b;
    } else {
      return static_cast<T>(static_cast<std::make_unsigned_t<T>>(a) + static_cast<std::make_unsigned_t<T>>(b));
    }
  }
};
template <typename T>
struct Times {
  static T Of(T a, T b) {
    if constexpr (kFloating<T>) {
      return a * b;
    } else {
      return static_cast<T>(static_cast<std::uint64_t>(a) * static_cast<std::uint64_t>(b));
    }
  }
};
template <typename T>
struct Larger {
  static T Of(T a, T b) { return b != b || a > b ? a : b; }
};
template <typename T>
struct Smaller {
  static T Of(T a, T b) { return b != b || a < b ? a : b; }
};

// bfloat16 is computed in float and rounded once a step.
template <template <typename> typename Operation>
struct Narrowed {
  static __nv_bfloat16 Of(__nv_bfloat16 a, __nv_bfloat16 b) {
    return Operation<float>::Of(static_cast<float>(a), static_cast<float>(b));
  }
};
template <>
struct Add<__nv_bfloat16> : Narrowed<Add> {};
template <>
struct Times<__nv_bfloat16> : Narrowed<Times> {};
template <>
struct Larger<__nv_bfloat16> : Narrowed<Larger> {};
template <>
struct Smaller<__nv_bfloat16> : Narrowed<Smaller> {};

template <typename T, typename Operation>
void Combine(std::int64_t n, std::span<const void* const> sources, T* out) {
  T values[kBlock];
  for (std::int64_t begin = 0; begin < n; begin += kBlock) {
    const std::int64_t size = std::min(kBlock, n - begin);
    std::copy_n(static_cast<const T*>(sources[0]) + begin, size, values);
    for (const void* source : sources.subspan(1)) {
      const T* const x = static_cast<const T*>(source) + begin;
      for (std::int64_t i = 0; i < size; ++i) values[i] = Operation::Of(values[i], x[i]);
    }
    std::copy_n(values, size, out + begin);
  }
}

template <typename T>
void AverageOfFloats(std::int64_t n, std::span<const void* const> sources, T* out) {
  const T share = static_cast<T>(1.0 / static_cast<double>(sources.size()));
  T values[kBlock];
  for (std::int64_t begin = 0; begin < n; begin += kBlock) {
    const std::int64_t size = std::min(kBlock, n - begin);
    for (std::size_t rank = 0; rank < sources.size(); ++rank) {
      const T* const x = static_cast<const T*>(sources[rank]) + begin;
      for (std::int64_t i = 0; i < size; ++i) {
        const T term = Times<T>::Of(x[i], share);
        values[i] = rank == 0 ? term : Add<T>::Of(values[i], term);
      }
    }
    std::copy_n(values, size, out + begin);
  }
}

template <typename T>
void Average(std::int64_t n, std::span<const void* const> sources, T* out) {
  if constexpr (kFloating<T> || std::is_floating_point_v<T>) {
    AverageOfFloats<T>(n, sources, out);
  } else {
    Combine<T, Add<T>>(n, sources, out);
    for (std::int64_t i = 0; i < n; ++i) out[i] = static_cast<T>(out[i] / static_cast<T>(sources.size()));
  }
}

template <typename T>
void ReduceAs(int reduction, std::int64_t n, std::span<const void* const> sources, T* out) {
  switch (reduction) {
    case ncclSum:
      return Combine<T, Add<T>>(n, sources, out);
    case ncclProd:
      return Combine<T, Times<T>>(n, sources, out);
    case ncclMax:
      return Combine<T, Larger<T>>(n, sources, out);
    case ncclMin:
      return Combine<T, Smaller<T>>(n, sources, out);
    case ncclAvg:
      return Average<T>(n, sources, out);
    default:
      throw std::logic_error("a reduction that the call's checks let through");
  }
}

}  // namespace

void Reduce(int type, int reduction, std::int64_t n, std::span<const void* const> sources, void* out) {
  switch (type) {
    case ncclInt8:
      return ReduceAs(reduction, n, sources, static_cast<std::int8_t*>(out));
    case ncclUint8:
      return ReduceAs(reduction, n, sources, static_cast<std::uint8_t*>(out));
    case ncclInt32:
      return ReduceAs(reduction, n, sources, static_cast<std::int32_t*>(out));
    case ncclUint32:
      return ReduceAs(reduction, n, sources, static_cast<std::uint32_t*>(out));
    case ncclInt64:
      return ReduceAs(reduction, n, sources, static_cast<std::int64_t*>(out));
    case ncclUint64:
      return ReduceAs(reduction, n, sources, static_cast<std::uint64_t*>(out));
    case ncclFloat32:
      return ReduceAs(reduction, n, sources, static_cast<float*>(out));
    case ncclFloat64:
      return ReduceAs(reduction, n, sources, static_cast<double*>(out));
    case ncclBfloat16:
      return ReduceAs(reduction, n, sources, static_cast<__nv_bfloat16*>(out));
    default:
      throw std::logic_error("a type that the call's checks let through");
  }
}

}  // namespace lockstep::virtual_gpu::nccl
