#include "reference/virtual_gpu/nccl/communicator.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <map>
#include <utility>

#include "reference/virtual_gpu/nccl/group_run.h"
#include "reference/virtual_gpu/nccl/order.h"
#include "reference/virtual_gpu/nccl/rendezvous.h"

namespace lockstep::virtual_gpu::nccl {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLook(100);  // how long a thread sleeps before it looks whether its peers live

}  // namespace

Communicator::Communicator(Settings settings) : settings_(std::move(settings)) {
  int current = 0;
  cudaGetDevice(&current);
  cudaSetDevice(settings_.device);
  cudaEventCreateWithFlags(&event_, cudaEventDisableTiming);
  cudaSetDevice(current);
}

Communicator::~Communicator() = default;

void Communicator::Close() {
  if (event_ != nullptr) cudaEventDestroy(event_);
  event_ = nullptr;
}

void Communicator::Connect(const ncclUniqueId& id, int ranks, int rank) {
  if (ranks < 1 || ranks > kMaxRanks || rank < 0 || rank >= ranks) {
    throw Failure{ncclInvalidArgument, "rank " + std::to_string(rank) + " of " + std::to_string(ranks) +
                                           " is none: 1 to " + std::to_string(kMaxRanks) + " ranks are covered"};
  }
  auto region = std::make_unique<Region>(Join(id, ranks, rank), ranks);
  if (!region->Valid()) throw Failure{ncclSystemError, "the shared memory can't be mapped"};
  {
    const std::lock_guard lock(mutex_);
    rank_ = rank;
    ranks_ = ranks;
    peers_ = std::make_unique<Peers>(*region, rank);
    region_ = std::move(region);
    Member& me = region_->member(rank);
    me.process.store(getpid(), std::memory_order_release);
    me.membership.store(Membership::kJoined, std::memory_order_release);
  }
  if (aborted_) Depart(Membership::kAborted);
  const std::string mine = std::to_string(getpid()) + ", device " + std::to_string(settings_.device);
  std::map<std::string, int> seen;
  int other = 0;
  for (const std::string& where : Exchange(mine)) {
    const auto [place, fresh] = seen.emplace(where, other);
    if (!fresh) {
      throw Failure{ncclInvalidUsage, "rank " + std::to_string(place->second) + " and rank " + std::to_string(other) +
                                          " are both on process " + where.c_str()};
    }
    ++other;
  }
}

std::vector<std::string> Communicator::Exchange(const std::string& mine, const Communicator* on_behalf_of) {
  const std::lock_guard lock(exchange_);
  const std::size_t half = exchanges_ % 2;
  char* const place = region_->member(rank_).host[half];
  std::memset(place, 0, kHostBytes);
  mine.copy(place, kHostBytes);
  const std::uint64_t all = static_cast<std::uint64_t>(ranks_) * (exchanges_ + 1);
  auto& arrivals = region_->header().host_arrivals;
  if (arrivals.fetch_add(1, std::memory_order_acq_rel) + 1 == all) {
    for (int rank = 0; rank < ranks_; ++rank) region_->member(rank).hosts.Ring();
  }
  Waiting waiting;
  waiting.what = "setup";
  waiting.progress = [&] {
    if (arrivals.load(std::memory_order_acquire) >= all) return Outcome::kDone;
    if (on_behalf_of != nullptr && on_behalf_of->aborted_) {
      Fail({ncclInvalidUsage, "a split was aborted while rank " + std::to_string(rank_) + " waited for the others"});
      throw Aborted{};
    }
    return Outcome::kWaiting;
  };
  waiting.needed = [](int) { return true; };
  waiting.look = [] {};
  Await(region_->member(rank_).hosts, waiting);
  ++exchanges_;
  std::vector<std::string> brought;
  for (int rank = 0; rank < ranks_; ++rank) brought.emplace_back(region_->member(rank).host[half], kHostBytes);
  return brought;
}

void Communicator::ThrowIfEnded() const {
  if (aborted_) throw Aborted{};
  const FailureRecord& record = region_->header().failure;
  if (record.state.load(std::memory_order_acquire) == FailureRecord::kWritten) {
    throw Failure{static_cast<ncclResult_t>(record.result), record.text};
  }
}

void Communicator::Await(Doorbell& bell, const Waiting& waiting) {
  bool long_time = false;
  while (true) {
    const std::uint32_t count = bell.Count();
    // Looked for first: what a peer did before it went away still counts.
    std::optional<Peers::Gone> gone;
    if (long_time || region_->header().departures.load(std::memory_order_acquire) > 0) {
      gone = peers_->FindGone(long_time, waiting.needed);
    }
    const Outcome outcome = waiting.progress();
    if (outcome == Outcome::kDone) return;
    if (outcome == Outcome::kMoved) {
      long_time = false;
      continue;
    }
    ThrowIfEnded();
    if (gone && waiting.needed(gone->rank)) {
      throw Failure{ncclRemoteError, "rank " + std::to_string(rank_) + " of " + std::to_string(ranks_) + " waits in " +
                                         waiting.what + " for rank " + std::to_string(gone->rank) + ", which " +
                                         gone->how};
    }
    if (long_time) waiting.look();
    long_time = !bell.Rest(count, kLook);
  }
}

void Communicator::BeginWork() {
  const std::lock_guard lock(mutex_);
  ++working_;
}

ncclResult_t Communicator::DoWork(const std::function<void()>& work) {
  ncclResult_t result = ncclSuccess;
  try {
    work();
  } catch (const Failure& failure) {
    Fail(failure);
    result = failure.result;
  } catch (const Aborted&) {
    if (!aborted_) Fail({ncclInvalidUsage, "the communicator that this one was to be made of was aborted"});
    result = ncclInvalidUsage;
  }
  const std::lock_guard lock(mutex_);
  --working_;
  changed_.notify_all();
  return result;
}

void Communicator::AwaitWork() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return working_ == 0; });
}

void Communicator::Launched() {
  const std::lock_guard lock(mutex_);
  ++launched_;
}

void Communicator::FinishedLaunched() {
  const std::lock_guard lock(mutex_);
  --launched_;
  changed_.notify_all();
}

void Communicator::Execute(const std::vector<Call>& calls) {
  const std::lock_guard lock(run_);
  try {
    ThrowIfEnded();
    Run(calls);
  } catch (const Failure& failure) {
    Fail(failure);
    Doorbell& bell = region_->member(rank_).operations;
    while (!aborted_) {
      const std::uint32_t count = bell.Count();
      if (!aborted_) bell.Rest(count, std::chrono::seconds(1));
    }
  } catch (const Aborted&) {
    // what was asked for is not done, and nobody waits for it any more
  }
}

void Communicator::Run(const std::vector<Call>& calls) {
  GroupRun group(*region_, rank_, calls, steps_);
  Doorbell& bell = region_->member(rank_).operations;
  Waiting waiting;
  waiting.what = group.Words();
  waiting.progress = [&] {
    const bool moved = group.Progress();
    return group.Done() ? Outcome::kDone : moved ? Outcome::kMoved : Outcome::kWaiting;
  };
  waiting.needed = [&](int rank) { return group.Needs(rank); };
  waiting.look = [this] {
    if (const auto circle = FindCircle(*region_, rank_)) throw *circle;
  };
  Await(bell, waiting);
  for (auto rest = group.ImaginedRest(); rest.count() > 0 && !aborted_; rest = group.ImaginedRest()) {
    bell.Rest(bell.Count(), rest);
  }
}

void Communicator::Drain(const std::function<void()>& hurry) {
  std::unique_lock lock(mutex_);
  while (launched_ > 0 && error_ == ncclSuccess && !aborted_) {
    lock.unlock();
    hurry();
    lock.lock();
    changed_.wait_for(lock, kLook, [this] { return launched_ == 0 || error_ != ncclSuccess || aborted_; });
  }
}

ncclResult_t Communicator::AsyncError(bool look) {
  {
    const std::lock_guard lock(mutex_);
    if (error_ != ncclSuccess) return error_;
    if (working_ > 0) return ncclInProgress;
    if (region_ == nullptr) return ncclSuccess;
    const auto now = std::chrono::steady_clock::now();
    look = look && now - looked_ > kLook;
    if (look) looked_ = now;
  }
  try {
    ThrowIfEnded();
    // Who has left did so in good order; who has died or aborted can't be part of anything any more.
    const auto needed = [this](int rank) {
      return region_->member(rank).membership.load(std::memory_order_acquire) != Membership::kLeft;
    };
    if (const auto gone = look ? peers_->FindGone(true, needed) : std::nullopt) {
      throw Failure{ncclRemoteError,
                    "rank " + std::to_string(gone->rank) + " of " + std::to_string(ranks_) + " " + gone->how};
    }
  } catch (const Failure& failure) {
    Fail(failure);
    return failure.result;
  } catch (const Aborted&) {
    return ncclInternalError;
  }
  return ncclSuccess;
}

std::string Communicator::LastError() {
  const std::lock_guard lock(mutex_);
  return error_text_;
}

void Communicator::Fail(const Failure& failure) {
  Region* region = nullptr;
  {
    const std::lock_guard lock(mutex_);
    if (error_ != ncclSuccess) return;
    region = region_.get();
  }
  const Failure standing = region == nullptr ? failure : region->Record(failure);
  const std::string line = "virtual NCCL: " + (settings_.name.empty() ? "" : settings_.name + ": ") + standing.text;
  {
    const std::lock_guard lock(mutex_);
    if (error_ != ncclSuccess) return;
    error_ = standing.result;
    error_text_ = line;
    changed_.notify_all();
  }
  std::fprintf(stderr, "%s\n", line.c_str());
}

void Communicator::Depart(Membership membership) {
  {
    const std::lock_guard lock(mutex_);
    if (region_ == nullptr || departed_) return;
    departed_ = true;
  }
  region_->member(rank_).membership.store(membership, std::memory_order_release);
  region_->header().departures.fetch_add(1, std::memory_order_acq_rel);
  region_->RingAll();
}

void Communicator::Leave() { Depart(Membership::kLeft); }

void Communicator::Abort() {
  Region* region = nullptr;
  {
    const std::lock_guard lock(mutex_);
    aborted_ = true;
    region = region_.get();
    changed_.notify_all();
  }
  Depart(Membership::kAborted);
  if (region != nullptr) {
    region->member(rank_).operations.Ring();
    region->member(rank_).hosts.Ring();
  }
  AwaitWork();
  const std::lock_guard lock(run_);  // what ran has gone from its buffers
}

bool Communicator::Usable() {
  const std::lock_guard lock(mutex_);
  return error_ == ncclSuccess && !aborted_ && !departed_;
}

}  // namespace lockstep::virtual_gpu::nccl
