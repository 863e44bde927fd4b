// The one thing of this suite that knows which backend it is built for; backend_NAME.cc defines it.
//
// The backend's runtime lives from before the first test of the program until after the last.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "reference/device/device.h"

namespace lockstep::test {

std::unique_ptr<device::Device> MakeTestDevice(std::int64_t memory_capacity_bytes = 0);

// What the backend says of itself, and where backends may differ.
struct BackendFacts {
  std::string kind;  // of DeviceInfo
  std::string name;  // a part of DeviceInfo's
  int ordinal = 0;   // of MakeTestDevice's devices
  std::vector<std::string> libraries;
};
BackendFacts Facts();

}  // namespace lockstep::test
