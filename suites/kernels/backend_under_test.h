// The device that this program's tests are for: that of the backend that it is linked with (LinkedBackend).
//
// The backend's runtime lives from the first device of the program until after the last test. Tests of this folder know
// no backend; what one of them alone has is tested in the folder of its name.
#pragma once

#include <cstdint>
#include <memory>

#include "reference/device/device.h"

namespace lockstep::test {

// A device of a process alone, without a world. memory_capacity_bytes 0: no cap.
std::unique_ptr<device::Device> MakeTestDevice(std::int64_t memory_capacity_bytes = 0);

}  // namespace lockstep::test
