#include "reference/device/memory.h"

#include <algorithm>

#include "reference/device/device.h"

namespace lockstep::device {

const char* NameOf(Category category) {
  switch (category) {
    case Category::kParameters:
      return "parameters";
    case Category::kGradients:
      return "gradients";
    case Category::kOptimizer:
      return "optimizer";
    case Category::kActivations:
      return "activations";
    case Category::kCommunication:
      return "communication";
    case Category::kWorkspace:
      return "workspace";
  }
  throw std::logic_error("unknown memory category");
}

void MemoryLedger::Take(Category category, std::int64_t bytes, int device) {
  if (bytes < 0) throw std::logic_error("a negative number of bytes was asked for");
  // total_now + bytes may overflow for an absurd request: compare by what is left.
  if (use_.capacity > 0 && bytes > use_.capacity - use_.total_now) {
    throw OutOfMemory("out of memory: rank's device " + std::to_string(device) + ": " + NameOf(category) + " wants " +
                      std::to_string(bytes) + " bytes, " + std::to_string(use_.total_now) + " of " +
                      std::to_string(use_.capacity) + " in use");
  }
  const auto at = static_cast<std::size_t>(category);
  use_.now[at] += bytes;
  use_.peak[at] = std::max(use_.peak[at], use_.now[at]);
  use_.total_now += bytes;
  use_.total_peak = std::max(use_.total_peak, use_.total_now);
}

void MemoryLedger::Give(Category category, std::int64_t bytes) {
  const auto at = static_cast<std::size_t>(category);
  if (bytes < 0 || bytes > use_.now[at]) {
    throw std::logic_error(std::string("more bytes of ") + NameOf(category) + " are given back than were taken");
  }
  use_.now[at] -= bytes;
  use_.total_now -= bytes;
}

Buffer::~Buffer() {
  if (device_ != nullptr && data_ != nullptr) device_->Free(data_, bytes_, category_);
}

}  // namespace lockstep::device
