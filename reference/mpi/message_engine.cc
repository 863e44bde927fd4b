#include "reference/mpi/message_engine.h"

#include <sched.h>
#include <sys/prctl.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <limits>
#include <set>
#include <thread>

namespace lockstep::mpi {
namespace {

constexpr std::chrono::milliseconds kStill(300);  // nothing has moved for so long: is something here that went astray?

std::string MpiError(int code) {
  char text[MPI_MAX_ERROR_STRING] = {};
  int length = 0;
  MPI_Error_string(code, text, &length);
  return std::string(text, static_cast<std::size_t>(length));
}

}  // namespace

Operation::Operation(MessageEngine& engine, std::string name)
    : engine_(engine), name_(std::move(name)), deadline_(engine.deadline_) {}

void Operation::Send(const void* data, std::int64_t bytes, int peer, int tag) {
  if (bytes > std::numeric_limits<int>::max()) Fail("a message of more than 2 GiB");
  MPI_Request request;
  const int code = MPI_Isend(data, static_cast<int>(bytes), MPI_BYTE, peer, tag, engine_.messages_, &request);
  if (code != MPI_SUCCESS) Fail("send to rank " + std::to_string(peer) + ": " + MpiError(code));
  requests_.push_back(request);
  messages_.push_back({peer, true, bytes});
}

void Operation::Receive(void* data, std::int64_t bytes, int peer, int tag) {
  if (bytes > std::numeric_limits<int>::max()) Fail("a message of more than 2 GiB");
  MPI_Request request;
  const int code = MPI_Irecv(data, static_cast<int>(bytes), MPI_BYTE, peer, tag, engine_.messages_, &request);
  if (code != MPI_SUCCESS) Fail("receive from rank " + std::to_string(peer) + ": " + MpiError(code));
  requests_.push_back(request);
  messages_.push_back({peer, false, bytes});
}

void Operation::WhenOverdue(std::chrono::milliseconds deadline, Step step) {
  deadline_ = deadline;
  overdue_ = std::move(step);
}

void Operation::Fail(const std::string& problem) const { throw device::CommunicationError(name_ + ": " + problem); }

void Operation::Wait() {
  std::unique_lock lock(engine_.mutex_);
  engine_.ended_.wait(lock, [this] { return done_; });
  if (!error_.empty()) throw device::CommunicationError(error_);
}

bool Operation::WaitFor(std::chrono::milliseconds longest) {
  std::unique_lock lock(engine_.mutex_);
  if (!engine_.ended_.wait_for(lock, longest, [this] { return done_; })) return false;
  if (!error_.empty()) throw device::CommunicationError(error_);
  return true;
}

bool Operation::Done() {
  const std::lock_guard lock(engine_.mutex_);
  return done_;
}

std::int64_t Operation::EndedAt() {
  const std::lock_guard lock(engine_.mutex_);
  return done_ ? std::chrono::duration_cast<std::chrono::nanoseconds>(ended_at_.time_since_epoch()).count() : 0;
}

void Operation::NoteLink(int tag, std::int32_t direction, std::optional<int> asked) {
  const std::lock_guard lock(engine_.mutex_);
  MessageEngine::Link& link = engine_.links_[tag];
  link.direction = direction;
  if (asked) link.asked.insert(*asked);
}

// Two ends that disagree on a length would go on with half a result. MPI itself refuses what is too long.
void Operation::CheckLength(const Message& message, const MPI_Status& status) const {
  int bytes = 0;
  if (message.sent || MPI_Get_count(&status, MPI_BYTE, &bytes) != MPI_SUCCESS || bytes == message.bytes) return;
  Fail("mismatch: expected " + std::to_string(message.bytes) + " bytes from rank " + std::to_string(message.peer) +
       " of the world, got " + std::to_string(bytes));
}

bool Operation::Collect() {
  if (requests_.empty()) return false;
  int count = 0;
  ended_.resize(requests_.size());
  std::vector<MPI_Status> statuses(requests_.size());
  const int code =
      MPI_Testsome(static_cast<int>(requests_.size()), requests_.data(), &count, ended_.data(), statuses.data());
  if (code == MPI_ERR_IN_STATUS) {
    for (int i = 0; i < count; ++i) {
      if (statuses[i].MPI_ERROR == MPI_SUCCESS || statuses[i].MPI_ERROR == MPI_ERR_PENDING) continue;
      const Message& message = messages_[ended_[i]];
      Fail(std::string(message.sent ? "send to" : "receive from") + " rank " + std::to_string(message.peer) + ": " +
           MpiError(statuses[i].MPI_ERROR));
    }
  } else if (code != MPI_SUCCESS) {
    Fail(MpiError(code));
  }
  if (count <= 0) return false;
  for (int i = 0; i < count; ++i) CheckLength(messages_[ended_[i]], statuses[i]);
  std::sort(ended_.begin(), ended_.begin() + count, std::greater<>());
  for (int i = 0; i < count; ++i) {
    requests_.erase(requests_.begin() + ended_[i]);
    messages_.erase(messages_.begin() + ended_[i]);
  }
  return true;
}

std::string Operation::Waiting() const {
  if (messages_.empty()) return "not started";
  std::set<int> senders, receivers;
  for (const Message& message : messages_) (message.sent ? receivers : senders).insert(message.peer);
  const std::set<int>& peers = senders.empty() ? receivers : senders;  // who is silent is silent in both ways
  std::string list;
  for (const int peer : peers) list += (list.empty() ? "" : ", ") + std::to_string(peer);
  return (senders.empty() ? "waiting for the take-up by rank" : "waiting to receive from rank") +
         std::string(peers.size() > 1 ? "s " : " ") + list + " of the world";
}

bool Operation::Progress() {
  bool moved = false;
  if (!running_) {
    running_ = true;
    moved_ = Clock::now();
  }
  moved = Collect();
  while (requests_.empty() && !steps_.empty()) {
    const Step step = std::move(steps_.front());
    steps_.pop_front();
    step(*this);
    moved = true;
    Collect();
  }
  const auto now = Clock::now();
  if (moved) {
    moved_ = now;
  } else if (now - moved_ > deadline_) {
    if (overdue_) overdue_(*this);
    const double limit = std::chrono::duration<double>(deadline_).count();
    char text[96];
    std::snprintf(text, sizeof text, " for %.1f s, longer than the deadline of %g s",
                  std::chrono::duration<double>(now - moved_).count(), limit);
    Fail(Waiting() + text);
  }
  return moved;
}

MessageEngine::MessageEngine(int* argc, char*** argv, std::chrono::seconds deadline) : deadline_(deadline) {
  int provided = 0;
  MPI_Init_thread(argc, argv, MPI_THREAD_SERIALIZED, &provided);
  if (provided < MPI_THREAD_SERIALIZED) {
    throw device::CommunicationError(
        "this MPI allows calls from its first thread alone; MPI_THREAD_SERIALIZED is needed");
  }
  MPI_Comm_dup(MPI_COMM_WORLD, &messages_);
  MPI_Comm_set_errhandler(messages_, MPI_ERRORS_RETURN);
  MPI_Comm_rank(messages_, &rank_);
  MPI_Comm_size(messages_, &size_);
  int* limit = nullptr;
  int found = 0;
  MPI_Comm_get_attr(messages_, MPI_TAG_UB, &limit, &found);
  if (found != 0) largest_tag_ = *limit;
  thread_ = std::thread([this] { Run(); });
}

MessageEngine::~MessageEngine() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
    abandoned_ = failed_ || std::uncaught_exceptions() > 0;
  }
  handed_over_.notify_one();
  thread_.join();
  if (failed_ || abandoned_) return;
  MPI_Comm_free(&messages_);
  MPI_Finalize();
}

void MessageEngine::Start(const std::string& channel, std::shared_ptr<Operation> operation) {
  {
    const std::lock_guard lock(mutex_);
    new_.emplace_back(channel, std::move(operation));
  }
  handed_over_.notify_one();
}

void MessageEngine::WatchForStrays(device::StrayObserver observer) {
  const std::lock_guard lock(mutex_);
  observer_ = std::move(observer);
  links_.clear();
  stray_.reset();
}

std::optional<device::Stray> MessageEngine::FindStray(const std::map<int, Link>& links) const {
  for (const auto& [tag, link] : links) {
    for (int rank = 0; rank < size_; ++rank) {
      int lies_here = 0;
      if (rank == rank_ || link.asked.contains(rank)) continue;
      if (MPI_Iprobe(rank, tag, messages_, &lies_here, MPI_STATUS_IGNORE) != MPI_SUCCESS) return std::nullopt;
      if (lies_here != 0) return device::Stray{rank, link.direction};
    }
  }
  return std::nullopt;
}

void MessageEngine::LookForStrays() {
  std::unique_lock lock(mutex_);
  if (!observer_) return;
  const std::map<int, Link> links = links_;
  lock.unlock();
  const std::optional<device::Stray> found = FindStray(links);
  lock.lock();
  if (!observer_ || found == stray_) return;
  stray_ = found;
  observer_(found);
}

// With nothing under way, sleeps until there is.
void MessageEngine::TakeNew() {
  std::unique_lock lock(mutex_);
  const auto called = [this] { return stop_ || !new_.empty(); };
  while (channels_.empty() && !handed_over_.wait_for(lock, kStill, called)) {
    lock.unlock();
    LookForStrays();
    lock.lock();
  }
  for (auto& [channel, operation] : new_) channels_[channel].push_back(std::move(operation));
  new_.clear();
}

bool MessageEngine::Ending() {
  const std::lock_guard lock(mutex_);
  return abandoned_ || (stop_ && channels_.empty());
}

void MessageEngine::End(Operation& operation, const std::string& error) {
  {
    const std::lock_guard lock(mutex_);
    operation.done_ = true;
    operation.ended_at_ = Operation::Clock::now();
    operation.error_ = error;
    failed_ = failed_ || !error.empty();
  }
  ended_.notify_all();
}

bool MessageEngine::ProgressAll() {
  bool moved = false;
  for (auto at = channels_.begin(); at != channels_.end();) {
    Queue& queue = at->second;
    while (!queue.empty()) {
      Operation& operation = *queue.front();
      std::string error;
      try {
        moved = operation.Progress() || moved;
        if (!operation.requests_.empty() || !operation.steps_.empty()) break;
      } catch (const std::exception& exception) {
        error = exception.what();
        moved = true;
      }
      // What would come after a failure on this channel would pair with the wrong message: it fails with it.
      const std::size_t ending = error.empty() ? 1 : queue.size();
      for (std::size_t i = 0; i < ending; ++i) {
        End(*queue.front(), error);
        queue.pop_front();
      }
    }
    at = queue.empty() ? channels_.erase(at) : std::next(at);
  }
  return moved;
}

// After a few looks in a row the thread sleeps for a share of the time since something last happened: a wait gets a few
// per cent longer at most, and a rank that waits long costs next to nothing. New work ends the sleep.
void MessageEngine::Rest(int idle_looks, std::chrono::steady_clock::time_point last) {
  if (idle_looks < 8) {
    sched_yield();
    return;
  }
  using std::chrono::microseconds;
  const auto idle = std::chrono::duration_cast<microseconds>(std::chrono::steady_clock::now() - last);
  std::unique_lock lock(mutex_);
  handed_over_.wait_for(lock, std::clamp(idle / 16, microseconds(5), microseconds(500)),
                        [this] { return stop_ || !new_.empty(); });
}

void MessageEngine::Run() {
  prctl(PR_SET_TIMERSLACK, 1000UL);  // ns; of this thread: its sleeps are short ones
  auto last = std::chrono::steady_clock::now(), looked = last;
  int idle_looks = 0;
  for (TakeNew(); !Ending(); TakeNew()) {
    if (ProgressAll()) {
      last = std::chrono::steady_clock::now();
      idle_looks = 0;
      continue;
    }
    Rest(++idle_looks, last);
    const auto now = std::chrono::steady_clock::now();
    if (now - std::max(last, looked) < kStill) continue;
    looked = now;
    LookForStrays();
  }
}

}  // namespace lockstep::mpi
