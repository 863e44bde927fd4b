#include "reference/virtual_gpu/runtime/stream.h"

#include <chrono>
#include <thread>
#include <utility>

#include "reference/virtual_gpu/engine/grid_runner.h"
#include "reference/virtual_gpu/engine/report.h"
#include "reference/virtual_gpu/engine/sanitizers.h"
#include "reference/virtual_gpu/runtime/device.h"

namespace lockstep::virtual_gpu {
namespace {

constexpr std::chrono::seconds kHeldAtMost{1};  // in the lazy and the random mode

thread_local constinit const Stream* own_stream = nullptr;
thread_local constinit const char* running = "";

}  // namespace

const Stream* Stream::OfThisThread() { return own_stream; }
const char* Stream::RunningHere() { return running; }

Stream::Stream(Device& device, const Settings& settings, unsigned flags, int priority)
    : device_(device), mode_(settings.streams), flags_(flags), priority_(priority) {}

Stream::~Stream() = default;

std::uint64_t Stream::Enqueue(Work work) {
  auto item = std::make_unique<Item>();
  item->work = std::move(work);
  Release(&item->order);
  const std::unique_lock lock(mutex_);
  const std::uint64_t ticket = item->ticket = ++last_;
  const bool first = queue_.empty();
  queue_.push_back(std::move(item));
  device_.Added();
  if (mode_ == StreamMode::kEager) let_go_ = last_;
  if (!started_) {
    started_ = true;
    std::thread([self = shared_from_this()] { self->Main(); }).detach();
  } else if (sleeping_ && (first || mode_ == StreamMode::kEager)) {  // if only to hold it no longer than allowed
    come_.notify_one();
  }
  return ticket;
}

void Stream::LetGo(std::uint64_t ticket) {
  const std::lock_guard lock(mutex_);
  if (let_go_ >= ticket) return;
  let_go_ = ticket;
  if (sleeping_) come_.notify_one();
}

void Stream::Wait(std::uint64_t ticket, char* order) {
  LetGo(ticket);
  {
    std::unique_lock lock(mutex_);
    ++waiters_;
    ended_.wait(lock, [&] { return done_ >= ticket; });
    --waiters_;
  }
  Acquire(order == nullptr ? &order_ : order);
}

bool Stream::Ended(std::uint64_t ticket) const {
  const std::lock_guard lock(mutex_);
  return done_ >= ticket;
}

std::uint64_t Stream::Last() const {
  const std::lock_guard lock(mutex_);
  return last_;
}

void Stream::Close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  let_go_ = last_;
  come_.notify_one();
}

bool Stream::Over() const {
  const std::lock_guard lock(mutex_);
  return closed_ && done_ == last_;
}

// The next item that may run; null when the stream was closed and none is left.
std::unique_ptr<Stream::Item> Stream::Next() {
  std::unique_lock lock(mutex_);
  const auto ready = [&] { return !queue_.empty() && queue_.front()->ticket <= let_go_; };
  while (!ready()) {
    if (closed_ && queue_.empty()) return nullptr;
    sleeping_ = true;
    if (queue_.empty() || mode_ == StreamMode::kEager) {
      come_.wait(lock);
    } else if (come_.wait_for(lock, kHeldAtMost) == std::cv_status::timeout && !queue_.empty()) {
      let_go_ = last_;
    }
    sleeping_ = false;
  }
  auto item = std::move(queue_.front());
  queue_.pop_front();
  return item;
}

void Stream::Main() {
  own_stream = this;
  PrepareSignalStack();
  for (;;) {
    std::unique_ptr<Item> item;
    {
      const OwnAffairs own;
      item = Next();
      if (item == nullptr) return;
      for (const Dependency& dependency : item->work.after) {
        dependency.stream->Wait(dependency.ticket, dependency.order.get());
      }
      if (!std::exchange(holds_device_, true)) device_.Begin();
    }
    Acquire(&item->order);
    const cudaError_t error = RunItem(*item);
    Release(&order_);
    const OwnAffairs own;
    if (error != cudaSuccess) device_.Fail(error);
    const std::uint64_t ticket = item->ticket;
    item.reset();
    const std::lock_guard lock(mutex_);
    // The device is left before the end is told, so that who waits for it finds an idle device idle.
    if (queue_.empty() || queue_.front()->ticket > let_go_ || !queue_.front()->work.after.empty()) {
      holds_device_ = false;
      device_.End();
    }
    done_ = ticket;
    device_.Removed();
    if (waiters_ != 0) ended_.notify_all();
  }
}

cudaError_t Stream::RunItem(Item& item) {
  if (!item.work.always && device_.error() != cudaSuccess) return cudaSuccess;
  running = item.work.name;
  StandAt(running);
  const cudaError_t error = item.work.run ? item.work.run() : cudaSuccess;
  running = "";
  StandAt(running);
  return error;
}

}  // namespace lockstep::virtual_gpu
