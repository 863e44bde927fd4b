// Whether a library's call may use a piece of memory on a device.
#pragma once

#include <cstdint>
#include <string>

namespace lockstep::virtual_gpu {

// "" where all of [data, data + bytes) is one live allocation of `device`, of a device that it may reach, or pinned
// memory of the host; else what it is instead: "is host memory, device memory is needed". bytes > 0.
std::string WhyNotUsable(const void* data, std::int64_t bytes, int device);

}  // namespace lockstep::virtual_gpu
