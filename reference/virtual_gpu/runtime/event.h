// An event and what it was last recorded after. Waiting for a record that was replaced stays waiting for that record.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>

#include "reference/virtual_gpu/runtime/stream.h"

namespace lockstep::virtual_gpu {

class Capture;

struct Record {
  std::shared_ptr<Stream> stream;
  std::uint64_t ticket = 0;
  std::shared_ptr<char> order = std::make_shared<char>();  // ThreadSanitizer's
  std::atomic<bool> ended{false};
  std::chrono::steady_clock::time_point when{};  // valid when ended

  std::shared_ptr<Capture> capture;  // recorded in a capture: then only this and
  std::size_t node = 0;              // the node that stands for it
};

struct Event {
  Event(int on_device, unsigned with_flags) : device(on_device), flags(with_flags) {}

  const int device;
  const unsigned flags;
  std::mutex mutex;
  std::shared_ptr<Record> record;  // null: never recorded

  std::shared_ptr<Record> Last() {
    const std::lock_guard lock(mutex);
    return record;
  }
};

}  // namespace lockstep::virtual_gpu
