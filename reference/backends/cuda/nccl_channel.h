// One NCCL communicator with a stream and a thread of its own: operations that run one after another.
//
// The thread is there because NCCL meets the peers on the host when a communicator is made and at its first operations:
// the program's thread must not wait for that, or a send would block and ranks that use their groups in different
// orders would wait for each other. So it only marks the compute stream and hands the operation over; the channel's
// thread makes the communicator with the first one, and enqueues. Nothing here blocks inside NCCL: communicators are
// non-blocking and looked at against the deadline. Does not know what is sent, nor which ranks its members are.
#pragma once

#include <cuda_runtime.h>
#include <nccl.h>

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "reference/backends/cuda/events.h"
#include "reference/backends/cuda/nccl_engine.h"
#include "reference/device/communicator.h"
#include "reference/mpi/message_engine.h"

namespace lockstep::backends::cuda {

class NcclWork;

class NcclChannel {
 public:
  struct Members {
    std::string name;  // "the link from member 0 to 1 of group 5 of 2 ranks"; NCCL's too
    int rank = 0, size = 0;
    // Starts to give the first member's words to all of them. Called on the channel's thread.
    std::function<device::WorkHandle(float* words)> share;
    // Who may have kept us waiting, as a clause for the error's end. Called on the program's thread.
    std::function<std::string(const std::string& operation)> suspects;
  };
  struct Call {
    std::string name;                           // leads every message
    std::shared_ptr<mpi::Operation> expected;   // must have ended before this starts: a receive's header
    std::shared_ptr<mpi::Operation> announced;  // must have ended before this has ended: a send's header
    std::function<void(cudaStream_t)> before, after;
    std::function<ncclResult_t(ncclComm_t, cudaStream_t)> run;
  };
  enum class Ending { kOrderly, kAbort };

  NcclChannel(NcclEngine& engine, Members members);
  ~NcclChannel();  // orderly, unless Close said otherwise before
  NcclChannel(const NcclChannel&) = delete;
  NcclChannel& operator=(const NcclChannel&) = delete;

  // Starts after the compute stream's work of now; never blocks.
  device::WorkHandle Start(Call call);

  // No more comes. Orderly: once what was started has ended and the peers have closed as well. Does not wait for it.
  void Close(Ending ending);
  void Join();

 private:
  friend class NcclWork;
  struct GivenUp {};  // thrown on the channel's thread when it is to abort

  void Run();
  std::shared_ptr<NcclWork> Next();  // null: closed in order
  void Connect(const std::string& operation);
  void Enqueue(NcclWork& work);
  void Disconnect();
  bool Aborting();
  void Settle(ncclResult_t result, const std::string& name);  // until NCCL has taken the call up
  void Look(const std::string& name);                         // throws what NCCL or the thread has met by now
  [[noreturn]] void ThrowError() const;
  void Finish(NcclWork& work);  // the program's thread: until the work has ended
  [[noreturn]] void Overdue(const std::string& name, double seconds) const;

  NcclEngine& engine_;
  Members members_;
  ncclComm_t comm_ = nullptr;
  cudaStream_t stream_ = nullptr;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::shared_ptr<NcclWork>> queue_;
  bool closed_ = false, abort_ = false;
  bool overdue_ = false;  // error_ is a peer that kept us waiting
  std::string error_;     // of the thread; then comm_ is gone
  std::thread thread_;
};

}  // namespace lockstep::backends::cuda
