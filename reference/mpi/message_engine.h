// One thread a rank that makes every MPI call between start and end, so that communication goes on beside compute.
//
// An operation is a list of steps. A step starts sends and receives; the next step runs when all that were started have
// ended. Operations of one channel run one after another; channels are independent, so a receive that waits holds up
// nobody. Whoever waits gives its core away: the program's thread sleeps on a condition variable, the engine's thread
// sleeps between looks, longer the longer nothing has happened, and on a condition variable when nothing is under way.
// Does not know what is sent, nor what a communicator is.
#pragma once

#include <mpi.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "reference/device/communicator.h"

namespace lockstep::mpi {

class MessageEngine;

// One operation: what a step sees of the engine, and what the program waits on.
class Operation final : public device::Work {
 public:
  using Step = std::function<void(Operation&)>;

  // `name` leads every message: "all-reduce of 12 elements, rank 0 of 2". Steps run on the engine's thread.
  Operation(MessageEngine& engine, std::string name);

  // --- Before the operation is handed over.
  void Then(Step step) { steps_.push_back(std::move(step)); }
  void set_deadline(std::chrono::milliseconds deadline) { deadline_ = deadline; }  // the engine's otherwise

  // --- From within a step. Peers are ranks of the world; the buffers must stay until the operation has ended.
  void Send(const void* data, std::int64_t bytes, int peer, int tag);
  void Receive(void* data, std::int64_t bytes, int peer, int tag);
  [[noreturn]] void Fail(const std::string& problem) const;
  // What is done instead of failing when nothing has happened for so long, from now on.
  void WhenOverdue(std::chrono::milliseconds deadline, Step step);
  // A message of a link has this tag; `asked`, if any, is whom it is asked of.
  void NoteLink(int tag, std::int32_t direction, std::optional<int> asked = std::nullopt);

  // Blocks the program's thread until the operation has ended. Throws what ended it.
  void Wait() override;
  bool Done() override;  // the operation has ended; Wait() says how
  std::int64_t EndedAt() override;
  // Wait() for so long at most, for a thread that has other things to look after; true: it has ended.
  bool WaitFor(std::chrono::milliseconds longest);

 private:
  friend class MessageEngine;
  using Clock = std::chrono::steady_clock;
  struct Message {
    int peer;
    bool sent;
    std::int64_t bytes;
  };

  void CheckLength(const Message& message, const MPI_Status& status) const;
  bool Progress();              // true: something happened
  bool Collect();               // takes the messages that have ended off the list
  std::string Waiting() const;  // "waiting to receive from ranks 0, 3 of the world"

  MessageEngine& engine_;
  std::string name_;
  std::chrono::milliseconds deadline_;
  std::deque<Step> steps_;
  std::vector<MPI_Request> requests_;
  std::vector<Message> messages_;  // of the requests, in their order
  std::vector<int> ended_;
  Clock::time_point moved_{};  // when something last happened; the start at first
  bool running_ = false;
  Step overdue_;
  // Guarded by the engine's mutex.
  bool done_ = false;
  Clock::time_point ended_at_{};
  std::string error_;
};

class MessageEngine {
 public:
  // Initialises MPI; operations that a peer keeps waiting longer than `deadline` fail.
  MessageEngine(int* argc, char*** argv, std::chrono::seconds deadline);
  // Ends MPI, unless something went wrong: then peers may be gone and would be waited for without end.
  ~MessageEngine();
  MessageEngine(const MessageEngine&) = delete;
  MessageEngine& operator=(const MessageEngine&) = delete;

  int rank() const { return rank_; }
  int size() const { return size_; }
  int largest_tag() const { return largest_tag_; }
  // Groups' ids below it are taken. Used by the program's thread alone.
  int next_group() const { return next_group_; }
  void set_next_group(int id) { next_group_ = id; }

  // As Communicator's. Links that operations have noted before are forgotten.
  void WatchForStrays(device::StrayObserver observer);

  // Runs the operation after those that were handed over to the same channel before.
  void Start(const std::string& channel, std::shared_ptr<Operation> operation);

 private:
  friend class Operation;
  struct Link {
    std::int32_t direction = 0;
    std::set<int> asked;  // ranks of the world
  };
  using Queue = std::deque<std::shared_ptr<Operation>>;

  void Run();
  void TakeNew();
  bool Ending();  // no more work comes, or none of it matters any more
  bool ProgressAll();
  std::optional<device::Stray> FindStray(const std::map<int, Link>& links) const;
  void LookForStrays();
  void End(Operation& operation, const std::string& error);
  void Rest(int idle_looks, std::chrono::steady_clock::time_point last);

  MPI_Comm messages_ = MPI_COMM_NULL;  // ours alone
  int rank_ = 0, size_ = 1, largest_tag_ = 32767, next_group_ = 1;
  std::chrono::seconds deadline_;

  std::mutex mutex_;
  std::condition_variable handed_over_, ended_;
  std::vector<std::pair<std::string, std::shared_ptr<Operation>>> new_;
  bool stop_ = false;       // the program wants no more
  bool abandoned_ = false;  // nor what is under way
  bool failed_ = false;
  device::StrayObserver observer_;
  std::map<int, Link> links_;           // by tag
  std::optional<device::Stray> stray_;  // as the observer was told

  std::map<std::string, Queue> channels_;  // the engine's thread alone
  std::thread thread_;
};

}  // namespace lockstep::mpi
