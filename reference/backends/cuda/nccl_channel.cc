#include "reference/backends/cuda/nccl_channel.h"

#include <cstdio>
#include <cstring>
#include <optional>
#include <utility>

#include "reference/backends/cuda/check.h"
#include "reference/backends/cuda/nccl_check.h"
#include "reference/backends/cuda/patience.h"

namespace lockstep::backends::cuda {

using device::CommunicationError;

static_assert(kIdWords * sizeof(float) == sizeof(ncclUniqueId));

namespace {

// A peer kept us waiting, whoever it was.
class OverdueError : public CommunicationError {
 public:
  using CommunicationError::CommunicationError;
};

double SecondsSince(Patience::Clock::time_point start) {
  return std::chrono::duration<double>(Patience::Clock::now() - start).count();
}

}  // namespace

class NcclWork final : public device::Work {
 public:
  NcclWork(NcclChannel& channel, NcclChannel::Call what)
      : call(std::move(what)),
        ready(channel.engine_.events()),
        started(channel.engine_.events()),
        ended(channel.engine_.timed_events()),
        channel_(channel) {}

  void AwaitOwnWork() override { ready.Wait(); }
  void Wait() override {
    if (!waited_) channel_.Finish(*this);
    waited_ = true;
  }
  bool Done() override {
    if (waited_) return true;
    const std::lock_guard lock(channel_.mutex_);
    return !channel_.error_.empty() || (enqueued && ended.Done());
  }

  std::int64_t EndedAt() override { return waited_ ? channel_.engine_.runtime().clock().TimeOf(ended.get()) : 0; }

  NcclChannel::Call call;
  Event ready;            // on the compute stream: what the operation starts after
  Event started, ended;   // on the channel's
  bool enqueued = false;  // guarded by the channel's mutex

 private:
  NcclChannel& channel_;
  bool waited_ = false;
};

NcclChannel::NcclChannel(NcclEngine& engine, Members members) : engine_(engine), members_(std::move(members)) {
  int least = 0, greatest = 0;
  CUDA_CHECK(cudaDeviceGetStreamPriorityRange(&least, &greatest));
  CUDA_CHECK(cudaStreamCreateWithPriority(&stream_, cudaStreamNonBlocking, greatest));
  engine_.Add(*this);
  thread_ = std::thread([this] { Run(); });
}

NcclChannel::~NcclChannel() {
  engine_.Remove(*this);
  Close(Ending::kOrderly);
  Join();
  cudaStreamDestroy(stream_);
}

device::WorkHandle NcclChannel::Start(Call call) {
  auto work = std::make_shared<NcclWork>(*this, std::move(call));
  work->ready.Record(engine_.runtime().compute());
  {
    const std::lock_guard lock(mutex_);
    queue_.push_back(work);
  }
  changed_.notify_all();
  return work;
}

void NcclChannel::Close(Ending ending) {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    abort_ = abort_ || ending == Ending::kAbort;
  }
  changed_.notify_all();
}

void NcclChannel::Join() {
  if (thread_.joinable()) thread_.join();
}

bool NcclChannel::Aborting() {
  const std::lock_guard lock(mutex_);
  return abort_;
}

std::shared_ptr<NcclWork> NcclChannel::Next() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return closed_ || !queue_.empty(); });
  if (abort_) throw GivenUp{};
  if (queue_.empty()) return nullptr;
  auto work = std::move(queue_.front());
  queue_.pop_front();
  return work;
}

void NcclChannel::Run() {
  std::string error;
  bool overdue = false;
  try {
    CUDA_CHECK(cudaSetDevice(engine_.runtime().ordinal()));
    while (const auto work = Next()) Enqueue(*work);
    Disconnect();
    return;
  } catch (const GivenUp&) {
    error = members_.name + ": given up after a failure elsewhere on this rank";
  } catch (const OverdueError& problem) {
    error = problem.what();
    overdue = true;
  } catch (const std::exception& problem) {
    error = problem.what();
  }
  {
    // From here on the program's thread leaves comm_ alone. What is enqueued or would be fails with this.
    const std::lock_guard lock(mutex_);
    error_ = error;
    overdue_ = overdue;
  }
  changed_.notify_all();
  if (comm_ != nullptr) ncclCommAbort(comm_);
}

// For the channel's first operation, which names what goes wrong.
void NcclChannel::Connect(const std::string& operation) {
  float* const words = engine_.NewWords();
  ncclUniqueId id;
  if (members_.rank == 0) {
    NCCL_CHECK(ncclGetUniqueId(&id));
    std::memcpy(words, &id, sizeof id);
  }
  const device::WorkHandle shared = members_.share(words);
  for (Patience patience; !shared->Done(); patience.Rest()) {
    if (Aborting()) throw GivenUp{};
  }
  try {
    shared->Wait();
  } catch (const CommunicationError& problem) {
    throw CommunicationError(operation + ": " + problem.what());
  }
  std::memcpy(&id, words, sizeof id);
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  config.commName = members_.name.c_str();
  const ncclResult_t result = ncclCommInitRankConfig(&comm_, members_.size, id, members_.rank, &config);
  Settle(result, operation + ": " + members_.name);
}

// Flushes, and waits for the peers to close as well: they may still read what we have sent.
void NcclChannel::Disconnect() {
  if (comm_ == nullptr) return;
  Settle(ncclCommFinalize(comm_), members_.name + ": end");
  const std::lock_guard lock(mutex_);
  NCCL_CHECK(ncclCommDestroy(std::exchange(comm_, nullptr)));
}

void NcclChannel::Enqueue(NcclWork& work) {
  constexpr std::chrono::milliseconds kSlice(50);
  Call& call = work.call;
  while (call.expected && !call.expected->WaitFor(kSlice)) {
    if (Aborting()) throw GivenUp{};
  }
  if (comm_ == nullptr) Connect(call.name);
  work.ready.HoldUp(stream_);
  work.started.Record(stream_);
  if (call.before) call.before(stream_);
  Settle(call.run(comm_, stream_), call.name);
  if (call.after) call.after(stream_);
  work.ended.Record(stream_);
  {
    const std::lock_guard lock(mutex_);
    work.enqueued = true;
  }
  changed_.notify_all();
}

void NcclChannel::Overdue(const std::string& name, double seconds) const {
  const double deadline = std::chrono::duration<double>(engine_.deadline()).count();
  char text[96];
  std::snprintf(text, sizeof text, ": not done after %.1f s, longer than the deadline of %g s", seconds, deadline);
  throw OverdueError(name + text);
}

void NcclChannel::Settle(ncclResult_t result, const std::string& name) {
  const auto start = Patience::Clock::now();
  for (Patience patience; result == ncclInProgress; patience.Rest()) {
    if (Aborting()) throw GivenUp{};
    if (Patience::Clock::now() - start > engine_.deadline()) Overdue(name, SecondsSince(start));
    NCCL_CHECK(ncclCommGetAsyncError(comm_, &result));
  }
  if (result != ncclSuccess) throw CommunicationError(name + ": " + WordsOf(result, comm_));
}

void NcclChannel::ThrowError() const {
  if (overdue_) throw OverdueError(error_);
  throw CommunicationError(error_);
}

void NcclChannel::Look(const std::string& name) {
  const std::lock_guard lock(mutex_);
  if (!error_.empty()) ThrowError();
  ncclResult_t result = ncclSuccess;
  NCCL_CHECK(ncclCommGetAsyncError(comm_, &result));
  if (result != ncclSuccess && result != ncclInProgress) throw CommunicationError(name + ": " + WordsOf(result, comm_));
}

void NcclChannel::Finish(NcclWork& work) {
  const std::string& name = work.call.name;
  try {
    {
      std::unique_lock lock(mutex_);  // the thread keeps to the deadline
      changed_.wait(lock, [&] { return work.enqueued || !error_.empty(); });
      if (!error_.empty()) ThrowError();
    }
    std::optional<Patience::Clock::time_point> start;  // of the peers' time, which begins when ours is over
    for (Patience patience; !work.ended.Done(); patience.Rest()) {
      Look(name);
      if (!start && work.started.Done()) start = Patience::Clock::now();
      if (start && Patience::Clock::now() - *start > engine_.deadline()) Overdue(name, SecondsSince(*start));
    }
    if (work.call.announced) work.call.announced->Wait();
  } catch (const OverdueError& problem) {
    engine_.Fail(problem.what() + members_.suspects(name));
  } catch (const CommunicationError& problem) {
    engine_.Fail(problem.what());
  }
}

}  // namespace lockstep::backends::cuda
