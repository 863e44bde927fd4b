// Device memory: every byte has a category, so that a rank's peak is known exactly and a cap can be set.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>

namespace lockstep::device {

enum class Category { kParameters, kGradients, kOptimizer, kActivations, kCommunication, kWorkspace };
inline constexpr std::size_t kCategories = 6;
const char* NameOf(Category);  // "parameters", ...

// The device's memory is used up. what(): "out of memory: rank's device N: CATEGORY wants B bytes, U of C in use".
class OutOfMemory : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct MemoryUse {
  std::array<std::int64_t, kCategories> peak{};  // of each category by itself, bytes
  std::array<std::int64_t, kCategories> now{};
  std::int64_t total_now = 0, total_peak = 0, capacity = 0;  // capacity 0: no cap
};

// Counts. A backend's allocator asks it first and tells it afterwards. Not thread-safe: one per rank's main thread.
class MemoryLedger {
 public:
  explicit MemoryLedger(std::int64_t capacity = 0) { use_.capacity = capacity; }
  void Take(Category category, std::int64_t bytes, int device);  // throws OutOfMemory, then nothing is taken
  void Give(Category category, std::int64_t bytes);
  const MemoryUse& use() const { return use_; }

 private:
  MemoryUse use_;
};

class Device;

// A span of device memory that frees itself. `data` is a device pointer: the host reads it through Device::ToHost only.
class Buffer {
 public:
  Buffer() = default;
  Buffer(Device* device, void* data, std::size_t bytes, Category category)
      : device_(device), data_(data), bytes_(bytes), category_(category) {}
  Buffer(Buffer&& other) noexcept { *this = std::move(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(device_, other.device_);
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    std::swap(category_, other.category_);
    return *this;
  }
  ~Buffer();

  float* f32() const { return static_cast<float*>(data_); }
  std::uint16_t* bf16() const { return static_cast<std::uint16_t*>(data_); }
  double* f64() const { return static_cast<double*>(data_); }
  std::int32_t* i32() const { return static_cast<std::int32_t*>(data_); }
  std::uint64_t* u64() const { return static_cast<std::uint64_t*>(data_); }
  void* data() const { return data_; }
  std::size_t bytes() const { return bytes_; }
  Category category() const { return category_; }
  explicit operator bool() const { return data_ != nullptr; }

 private:
  Device* device_ = nullptr;
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
  Category category_ = Category::kWorkspace;
};

}  // namespace lockstep::device
