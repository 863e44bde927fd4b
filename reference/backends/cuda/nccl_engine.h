// What the NCCL channels of one rank share: its device, their deadline, and how they all end when one of them fails.
//
// After a failure nothing of NCCL goes on here: a kernel that waits for a peer would hold up the device and whoever
// frees memory on it, so every channel is aborted before the error is thrown. Used by the program's thread alone but
// for NewWords().
#pragma once

#include <array>
#include <chrono>
#include <list>
#include <mutex>
#include <set>
#include <string>

#include "reference/backends/cuda/events.h"
#include "reference/backends/cuda/runtime.h"

namespace lockstep::backends::cuda {

class NcclChannel;

inline constexpr std::int64_t kIdWords = 32;  // an ncclUniqueId as floats, which are what communicators carry

class NcclEngine {
 public:
  NcclEngine(Runtime& runtime, std::chrono::milliseconds deadline) : runtime_(runtime), deadline_(deadline) {}

  Runtime& runtime() const { return runtime_; }
  std::chrono::milliseconds deadline() const { return deadline_; }
  EventPool& events() { return events_; }
  EventPool& timed_events() { return timed_events_; }

  void Add(NcclChannel& channel) { channels_.insert(&channel); }
  void Remove(NcclChannel& channel) { channels_.erase(&channel); }
  // Aborts every channel and throws CommunicationError.
  [[noreturn]] void Fail(const std::string& error);

  // Memory for a message of host values that may outlast the channel that started it.
  float* NewWords();

 private:
  Runtime& runtime_;
  std::chrono::milliseconds deadline_;
  EventPool events_, timed_events_{EventTimes::kKept};
  std::set<NcclChannel*> channels_;
  std::mutex mutex_;
  std::list<std::array<float, kIdWords>> words_;
};

}  // namespace lockstep::backends::cuda
