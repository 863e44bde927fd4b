// Atomic operations under CUDA's names: relaxed, each returns the value before. Sanitizers see them as atomic.
#pragma once

#include <atomic>
#include <type_traits>

namespace lockstep::virtual_gpu {

// next(old) is stored; old is returned.
template <typename T, typename Next>
T Exchange(T* place, Next next) {
  std::atomic_ref<T> reference(*place);
  T old = reference.load(std::memory_order_relaxed);
  while (!reference.compare_exchange_weak(old, next(old), std::memory_order_relaxed)) {
  }
  return old;
}

template <typename T>
inline constexpr bool kAtomicInteger =
    std::is_same_v<T, int> || std::is_same_v<T, unsigned> || std::is_same_v<T, unsigned long long>;
template <typename T>
inline constexpr bool kAtomicOrdered = kAtomicInteger<T> || std::is_same_v<T, long long>;
template <typename T>
inline constexpr bool kAtomicNumber = kAtomicInteger<T> || std::is_same_v<T, float> || std::is_same_v<T, double>;

}  // namespace lockstep::virtual_gpu

template <typename T>
requires lockstep::virtual_gpu::kAtomicNumber<T> T atomicAdd(T* place, std::type_identity_t<T> value) {
  return std::atomic_ref<T>(*place).fetch_add(value, std::memory_order_relaxed);
}
template <typename T>
requires(std::is_same_v<T, int> || std::is_same_v<T, unsigned>) T atomicSub(T* place, std::type_identity_t<T> value) {
  return std::atomic_ref<T>(*place).fetch_sub(value, std::memory_order_relaxed);
}
template <typename T>
requires(lockstep::virtual_gpu::kAtomicInteger<T> || std::is_same_v<T, float>) T
    atomicExch(T* place, std::type_identity_t<T> value) {
  return std::atomic_ref<T>(*place).exchange(value, std::memory_order_relaxed);
}
template <typename T>
requires(lockstep::virtual_gpu::kAtomicInteger<T> || std::is_same_v<T, unsigned short>) T
    atomicCAS(T* place, std::type_identity_t<T> compare, std::type_identity_t<T> value) {
  std::atomic_ref<T>(*place).compare_exchange_strong(compare, value, std::memory_order_relaxed);
  return compare;
}
template <typename T>
requires lockstep::virtual_gpu::kAtomicOrdered<T> T atomicMax(T* place, std::type_identity_t<T> value) {
  return lockstep::virtual_gpu::Exchange(place, [value](T old) { return old < value ? value : old; });
}
template <typename T>
requires lockstep::virtual_gpu::kAtomicOrdered<T> T atomicMin(T* place, std::type_identity_t<T> value) {
  return lockstep::virtual_gpu::Exchange(place, [value](T old) { return value < old ? value : old; });
}
template <typename T>
requires lockstep::virtual_gpu::kAtomicInteger<T> T atomicAnd(T* place, std::type_identity_t<T> value) {
  return std::atomic_ref<T>(*place).fetch_and(value, std::memory_order_relaxed);
}
template <typename T>
requires lockstep::virtual_gpu::kAtomicInteger<T> T atomicOr(T* place, std::type_identity_t<T> value) {
  return std::atomic_ref<T>(*place).fetch_or(value, std::memory_order_relaxed);
}
template <typename T>
requires lockstep::virtual_gpu::kAtomicInteger<T> T atomicXor(T* place, std::type_identity_t<T> value) {
  return std::atomic_ref<T>(*place).fetch_xor(value, std::memory_order_relaxed);
}
// old >= limit ? 0 : old + 1
inline unsigned atomicInc(unsigned* place, unsigned limit) {
  return lockstep::virtual_gpu::Exchange(place, [limit](unsigned old) { return old >= limit ? 0u : old + 1; });
}
