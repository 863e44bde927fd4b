// What flows between layers: rows of features in device memory, shared by the layers that keep them for backward.
//
// The last owner to let go frees the memory, so a layer keeps what its backward reads and nothing else has to be said.
// Rows are positions (gpt) or samples (mlp) of one micro-batch; under sequence parallelism, this rank's run of them.
#pragma once

#include <cstdint>
#include <memory>

#include "reference/device/device.h"

namespace lockstep::trainer {

struct Activations {
  std::int64_t rows = 0, width = 0;
  std::shared_ptr<device::Buffer> buffer;  // null where there are no elements

  float* data() const { return buffer ? buffer->f32() : nullptr; }
  std::int64_t size() const { return rows * width; }
};

// Device memory of `bytes` that several may hold; null for 0 bytes.
inline std::shared_ptr<device::Buffer> NewShared(device::Device& device, std::int64_t bytes,
                                                 device::Category category = device::Category::kActivations) {
  if (bytes == 0) return nullptr;
  return std::make_shared<device::Buffer>(device.Allocate(static_cast<std::size_t>(bytes), category));
}

// fp32, not initialised.
inline Activations NewActivations(device::Device& device, std::int64_t rows, std::int64_t width,
                                  device::Category category = device::Category::kActivations) {
  return {rows, width, NewShared(device, rows * width * 4, category)};
}

}  // namespace lockstep::trainer
