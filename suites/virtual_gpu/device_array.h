// What the tests of virtual GPUs share: arrays on the device, and a check of a call that must succeed.
#pragma once

#include <cuda_runtime.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <span>
#include <string>
#include <vector>

#define CUDA_OK(call) ASSERT_STREQ(cudaGetErrorName(call), "cudaSuccess") << #call

namespace lockstep::suites::virtual_gpu {

#if defined(__SANITIZE_THREAD__)
inline constexpr bool kThreadSanitizer = true;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
inline constexpr bool kThreadSanitizer = true;
#else
inline constexpr bool kThreadSanitizer = false;
#endif
#else
inline constexpr bool kThreadSanitizer = false;
#endif

// Threads of a large block: every thread of a block has an identity of ThreadSanitizer's, which are few and slow.
inline constexpr unsigned kLargeBlock = kThreadSanitizer ? 128 : 1024;

inline std::string Variable(const char* name, const char* otherwise) {
  const char* const value = std::getenv(name);
  return value == nullptr ? otherwise : value;
}
inline bool Eager() { return Variable("LOCKSTEP_VIRTUAL_STREAMS", "eager") == "eager"; }

// n elements on the current device, freed at the end.
template <typename T>
class DeviceArray {
 public:
  explicit DeviceArray(std::size_t n) : n_(n) { EXPECT_EQ(cudaMalloc(&data_, n * sizeof(T)), cudaSuccess); }
  explicit DeviceArray(const std::vector<T>& values) : DeviceArray(values.size()) {
    EXPECT_EQ(cudaMemcpy(data_, values.data(), n_ * sizeof(T), cudaMemcpyHostToDevice), cudaSuccess);
  }
  ~DeviceArray() { cudaFree(data_); }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;

  T* data() { return data_; }
  std::size_t bytes() const { return n_ * sizeof(T); }
  // What it holds after all work of the device.
  std::vector<T> Values() const {
    std::vector<T> values(n_);
    EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
    EXPECT_EQ(cudaMemcpy(values.data(), data_, n_ * sizeof(T), cudaMemcpyDeviceToHost), cudaSuccess);
    return values;
  }

 private:
  T* data_ = nullptr;
  std::size_t n_;
};

}  // namespace lockstep::suites::virtual_gpu
