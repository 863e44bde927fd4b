// CUDA events that are used again: markers in a stream, with or without times. Thread-safe; one pool a device and kind.
#pragma once

#include <cuda_runtime.h>

#include <mutex>
#include <utility>
#include <vector>

namespace lockstep::backends::cuda {

enum class EventTimes { kNone, kKept };

class EventPool {
 public:
  explicit EventPool(EventTimes times = EventTimes::kNone) : times_(times) {}
  ~EventPool();
  EventPool(const EventPool&) = delete;
  EventPool& operator=(const EventPool&) = delete;

 private:
  friend class Event;
  cudaEvent_t Take();
  void Give(cudaEvent_t event);

  EventTimes times_;
  std::mutex mutex_;
  std::vector<cudaEvent_t> free_;
};

// One event of the pool, given back at the end. A host that waits for it sleeps.
class Event {
 public:
  explicit Event(EventPool& pool) : pool_(pool), event_(pool.Take()) {}
  ~Event() { pool_.Give(event_); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  void Record(cudaStream_t stream);
  void HoldUp(cudaStream_t stream) const;  // what is enqueued on `stream` from now on waits for the last Record
  bool Done() const;                       // throws what the stream failed with
  void Wait() const;
  cudaEvent_t get() const { return event_; }

 private:
  EventPool& pool_;
  cudaEvent_t event_;
};

}  // namespace lockstep::backends::cuda
