#include "reference/virtual_gpu/runtime/usable.h"

#include "reference/virtual_gpu/runtime/runtime.h"

namespace lockstep::virtual_gpu {

std::string WhyNotUsable(const void* data, std::int64_t bytes, int device) {
  const OwnAffairs own;
  Runtime& runtime = Runtime::Get();
  const auto size = static_cast<std::size_t>(bytes);
  if (data == nullptr) return "is null, device memory is needed";
  Device* const holder = runtime.Holding(data);
  if (holder == nullptr) {
    if (runtime.host_memory.Find(data, size) != nullptr) return "";
    return "is host memory, device memory is needed";
  }
  Device* const user = runtime.device(device);
  if (holder->ordinal() != device && (user == nullptr || !user->MayReach(holder->ordinal()))) {
    return "is memory of device " + std::to_string(holder->ordinal()) + ", which device " + std::to_string(device) +
           " may not reach";
  }
  if (holder->memory().Find(data, size).data != nullptr) return "";
  const Allocation allocation = holder->memory().Find(data, 1);
  if (allocation.data == nullptr) return "is no allocated memory of the device";
  const std::int64_t left = allocation.data + allocation.bytes - static_cast<const char*>(data);
  return "has " + std::to_string(left) + " bytes, " + std::to_string(bytes) + " are needed";
}

}  // namespace lockstep::virtual_gpu
