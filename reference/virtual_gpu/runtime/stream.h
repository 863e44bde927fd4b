// A stream: work in order, run one after another by an OS thread of the stream's own, which may block in it.
//
// Work has a ticket; tickets count from 1. In eager mode the thread runs what comes; in the others it runs work that
// was let go: by a wait for it (the host's, or that of another stream), by the random mode's draw, and at the latest
// after a while, since a GPU never holds work for ever. Work after the device's first error is skipped, but still ends
// its ticket. Threads that wait sleep. Thread-safe; captures are not known here.
#pragma once

#include <cuda_runtime_api.h>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "reference/virtual_gpu/runtime/settings.h"

namespace lockstep::virtual_gpu {

class Device;
class Stream;

// What CUDA promises to be ordered before something: a ticket's end. `order` is for ThreadSanitizer.
struct Dependency {
  std::shared_ptr<Stream> stream;
  std::uint64_t ticket = 0;
  std::shared_ptr<char> order;  // null: the stream's
};

struct Work {
  const char* name = "";  // lives for ever
  std::function<cudaError_t()> run;
  std::vector<Dependency> after = {};
  bool always = false;  // also after the device's first error
};

class Stream : public std::enable_shared_from_this<Stream> {
 public:
  Stream(Device& device, const Settings& settings, unsigned flags, int priority);
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  std::uint64_t Enqueue(Work work);  // returns its ticket
  void LetGo(std::uint64_t ticket);  // it and what is before it may run
  // Lets go, and sleeps until it has ended. The caller follows `order`, or without one all that has ended here.
  void Wait(std::uint64_t ticket, char* order = nullptr);
  bool Ended(std::uint64_t ticket) const;
  std::uint64_t Last() const;  // the last ticket given, 0 for none
  bool Idle() const { return Ended(Last()); }
  void Close();       // no more work will come; what there is still runs
  bool Over() const;  // closed, and all has run

  Device& device() const { return device_; }
  unsigned flags() const { return flags_; }
  int priority() const { return priority_; }
  bool blocking() const { return (flags_ & cudaStreamNonBlocking) == 0; }  // ordered with the default stream

  // The stream whose thread the caller is, and what it runs; null and "" elsewhere.
  static const Stream* OfThisThread();
  static const char* RunningHere();

 private:
  struct Item {
    Work work;
    std::uint64_t ticket = 0;
    char order = 0;  // ThreadSanitizer's: the caller's actions before Enqueue
  };

  void Main();
  std::unique_ptr<Item> Next();
  cudaError_t RunItem(Item& item);

  Device& device_;
  const StreamMode mode_;
  const unsigned flags_;
  const int priority_;

  mutable std::mutex mutex_;
  std::condition_variable come_, ended_;
  std::deque<std::unique_ptr<Item>> queue_;
  std::uint64_t last_ = 0, let_go_ = 0, done_ = 0;
  unsigned waiters_ = 0;
  bool started_ = false, sleeping_ = false, closed_ = false, holds_device_ = false;
  char order_ = 0;  // ThreadSanitizer's: all work that has ended
};

}  // namespace lockstep::virtual_gpu
