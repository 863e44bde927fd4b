#include "reference/virtual_gpu/runtime/device.h"

#include <algorithm>
#include <utility>

namespace lockstep::virtual_gpu {

Device::Device(int ordinal, const Settings& settings)
    : ordinal_(ordinal),
      settings_(settings),
      memory_(ordinal, settings.memory_bytes),
      default_stream_(std::make_shared<Stream>(*this, settings, cudaStreamDefault, 0)),
      random_(static_cast<unsigned>(settings.seed * 2654435761u + static_cast<unsigned>(ordinal) + 1)) {}

void Device::Fail(cudaError_t error) {
  cudaError_t none = cudaSuccess;
  error_.compare_exchange_strong(none, error);
}

void Device::Begin() {
  const std::lock_guard lock(use_mutex_);
  ++users_;
  if (std::exchange(closed_, false)) memory_.Open();
}

void Device::End() {
  const std::lock_guard lock(use_mutex_);
  --users_;
}

void Device::CloseIfIdle() {
  const std::lock_guard lock(use_mutex_);
  // Eager work that waits for its turn opens the memory again at once: not worth closing.
  const bool busy = settings_.streams == StreamMode::kEager && pending_.load(std::memory_order_relaxed) != 0;
  if (users_ != 0 || closed_ || busy) return;
  closed_ = true;
  memory_.Close();
}

std::shared_ptr<Stream> Device::AddStream(unsigned flags, int priority) {
  auto stream = std::make_shared<Stream>(*this, settings_, flags, priority);
  const std::lock_guard lock(streams_mutex_);
  streams_.push_back(stream);
  return stream;
}

std::vector<std::shared_ptr<Stream>> Device::Streams() {
  const std::lock_guard lock(streams_mutex_);
  std::erase_if(streams_, [](const auto& stream) { return stream->Over(); });
  std::vector<std::shared_ptr<Stream>> all{default_stream_};
  all.insert(all.end(), streams_.begin(), streams_.end());
  return all;
}

std::vector<Dependency> Device::ImplicitlyAfter(const Stream& stream) const {
  std::vector<Dependency> after;
  if (!stream.blocking()) return after;
  const auto add = [&](const std::shared_ptr<Stream>& other) {
    if (!other->Idle()) after.push_back({other, other->Last(), nullptr});
  };
  const std::lock_guard lock(streams_mutex_);
  if (&stream != default_stream_.get()) {
    add(default_stream_);
    return after;
  }
  for (const auto& other : streams_) {
    if (other->blocking()) add(other);
  }
  return after;
}

void Device::LetSomeGo() {
  const std::lock_guard lock(streams_mutex_);
  if (random_() % 4 == 0) default_stream_->LetGo(default_stream_->Last());
  for (const auto& stream : streams_) {
    if (random_() % 4 == 0) stream->LetGo(stream->Last());
  }
}

void Device::WaitForAll(const std::vector<std::shared_ptr<Stream>>& streams) {
  std::vector<Dependency> ends;
  for (const auto& stream : streams) ends.push_back({stream, stream->Last(), nullptr});
  // The newest first: a stream made later tends to need what an earlier one makes.
  for (auto end = ends.rbegin(); end != ends.rend(); ++end) end->stream->LetGo(end->ticket);
  for (const Dependency& end : ends) end.stream->Wait(end.ticket);
}

void Device::Synchronize() {
  WaitForAll(Streams());
  {
    const std::lock_guard lock(use_mutex_);
    if (closed_) return;  // nobody can have written since
  }
  const DeviceUse use(*this);
  memory_.CheckGaps();
}

void Device::SynchronizeDefault() {
  auto streams = Streams();
  std::erase_if(streams, [](const auto& stream) { return !stream->blocking(); });
  WaitForAll(streams);
}

void Device::Reset() {
  WaitForAll(Streams());
  std::vector<std::shared_ptr<Stream>> old;
  {
    const std::lock_guard lock(streams_mutex_);
    old.swap(streams_);
    old.push_back(std::exchange(default_stream_, std::make_shared<Stream>(*this, settings_, cudaStreamDefault, 0)));
    peers_.clear();
  }
  for (const auto& stream : old) stream->Close();
  {
    const DeviceUse use(*this);
    memory_.Reset();
  }
  error_.store(cudaSuccess, std::memory_order_release);
}

bool Device::MayReach(int peer) const {
  const std::lock_guard lock(streams_mutex_);
  return peers_.contains(peer);
}

bool Device::SetReach(int peer, bool reach) {
  const std::lock_guard lock(streams_mutex_);
  return reach ? peers_.insert(peer).second : peers_.erase(peer) != 0;
}

}  // namespace lockstep::virtual_gpu
