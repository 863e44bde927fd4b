// One rank of a communicator: its setup, its operations on the threads of its streams, and how it ends.
//
// Operations run one group at a time, in the order of their calls. A group that fails (a peer asks for something else,
// or is gone) stays where it is, as a GPU's kernel would, until the communicator is aborted; the failure is told by
// AsyncError(), LastError() and one line on standard error, on every rank. Abort() wakes whatever waits here, at once.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "reference/virtual_gpu/nccl/failure.h"
#include "reference/virtual_gpu/nccl/operation.h"
#include "reference/virtual_gpu/nccl/peers.h"
#include "reference/virtual_gpu/nccl/region.h"

namespace lockstep::virtual_gpu::nccl {

class Communicator {
 public:
  struct Settings {
    int device = 0;
    bool blocking = true;
    std::string name;  // of ncclConfig_t::commName, or ""
  };

  explicit Communicator(Settings settings);
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;
  ~Communicator();

  const Settings& settings() const { return settings_; }
  int rank() const { return rank_; }  // after Connect
  int ranks() const { return ranks_; }

  // --- Setup, on any thread; throws Failure or Aborted. Waits for all ranks.
  void Connect(const ncclUniqueId& id, int ranks, int rank);
  // What every rank brings, in rank order; at most kHostBytes each, padded with zeros. `on_behalf_of`: a communicator
  // that is being made of this one; where it is aborted the exchange ends, and this one has failed.
  std::vector<std::string> Exchange(const std::string& mine, const Communicator* on_behalf_of = nullptr);

  // --- Work that setup or the end does beside the caller: AsyncError() is ncclInProgress meanwhile. Its failure
  // becomes the communicator's.
  void BeginWork();
  ncclResult_t DoWork(const std::function<void()>& work);  // ends what BeginWork began
  void AwaitWork();

  // --- Operations.
  void Launched();  // a group was enqueued: Execute will follow
  // Runs a group on a stream's thread: collectives in order, messages side by side.
  void Execute(const std::vector<Call>& calls);
  void FinishedLaunched();
  // Until all that was launched has ended, or the communicator has failed or been aborted. `hurry`: called while
  // waiting.
  void Drain(const std::function<void()>& hurry);

  // --- State.
  // ncclInProgress, the failure, or ncclSuccess. `look`: also looks, not too often, whether the peers live.
  ncclResult_t AsyncError(bool look = true);
  std::string LastError();  // "" where there was none
  void Fail(const Failure& failure);

  // --- The end.
  void Leave();
  void Abort();
  bool Usable();  // neither failed, nor aborted, nor finalized

  void Close();  // by a host's thread, last of all

  cudaEvent_t event() const { return event_; }  // after the last group; of the device
  cudaStream_t last_stream = nullptr;           // guarded by the caller's order of calls
  bool recorded = false;

 private:
  enum class Outcome { kDone, kMoved, kWaiting };
  struct Waiting {
    std::string what;                      // in words
    std::function<Outcome()> progress;     // does what can be done
    std::function<bool(int rank)> needed;  // whom it waits for
    std::function<void()> look;            // what else to look for when the wait is long; may throw Failure
  };
  // Calls `progress` until it is done, and sleeps while it only waits.
  void Await(Doorbell& bell, const Waiting& waiting);
  void ThrowIfEnded() const;
  void Run(const std::vector<Call>& calls);
  void Depart(Membership membership);

  Settings settings_;
  int rank_ = 0, ranks_ = 0;
  std::unique_ptr<Region> region_;
  std::unique_ptr<Peers> peers_;
  cudaEvent_t event_ = nullptr;
  std::atomic<bool> aborted_{false};
  bool departed_ = false;
  std::uint64_t steps_ = 0, exchanges_ = 0;  // of collectives; of hosts
  std::mutex run_, exchange_;                // one group, and one exchange, at a time
  std::mutex mutex_;                         // guards what follows
  std::condition_variable changed_;
  int working_ = 0, launched_ = 0;
  ncclResult_t error_ = ncclSuccess;
  std::string error_text_;
  std::chrono::steady_clock::time_point looked_{};  // when AsyncError last looked for dead peers
};

}  // namespace lockstep::virtual_gpu::nccl
