#include "reference/virtual_gpu/nccl/group.h"

#include <algorithm>
#include <thread>
#include <utility>
#include <vector>

#include "reference/virtual_gpu/engine/sanitizers.h"
#include "reference/virtual_gpu/nccl/buffers.h"
#include "reference/virtual_gpu/nccl/handles.h"
#include "reference/virtual_gpu/runtime/enqueue.h"
#include "reference/virtual_gpu/runtime/seen.h"

namespace lockstep::virtual_gpu::nccl {
namespace {

struct Unit {  // of one communicator
  std::shared_ptr<Communicator> communicator;
  const char* name;
  std::vector<Call> calls;
};
struct Setup {
  std::shared_ptr<Communicator> communicator;
  std::function<void()> work, failed;
};

struct Group {
  int depth = 0;
  ncclResult_t spoiled = ncclSuccess;
  std::vector<Unit> units;
  std::vector<Setup> setups;
};

Group& ThisThreads() {
  thread_local Group group;
  return group;
}

// The device of a communicator, current while this lives.
class CurrentDevice {
 public:
  explicit CurrentDevice(int device) {
    cudaGetDevice(&before_);
    if (before_ != device) cudaSetDevice(device);
  }
  ~CurrentDevice() { cudaSetDevice(before_); }
  CurrentDevice(const CurrentDevice&) = delete;
  CurrentDevice& operator=(const CurrentDevice&) = delete;

 private:
  int before_ = 0;
};

// Counts a group as launched until it has run, or was dropped.
class Launch {
 public:
  explicit Launch(std::shared_ptr<Communicator> communicator) : communicator_(std::move(communicator)) {
    communicator_->Launched();
  }
  ~Launch() { communicator_->FinishedLaunched(); }
  Launch(const Launch&) = delete;
  Launch& operator=(const Launch&) = delete;

 private:
  std::shared_ptr<Communicator> communicator_;
};

void Must(cudaError_t error, const char* what) {
  if (error != cudaSuccess) {
    throw Failure{ncclUnhandledCudaError, std::string(what) + ": " + cudaGetErrorString(error)};
  }
}

// `later` runs after all that `earlier` holds.
void Follow(cudaStream_t later, cudaStream_t earlier) {
  cudaEvent_t event = nullptr;
  Must(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "cudaEventCreateWithFlags");
  Must(cudaEventRecord(event, earlier), "cudaEventRecord");
  Must(cudaStreamWaitEvent(later, event, 0), "cudaStreamWaitEvent");
  Must(cudaEventDestroy(event), "cudaEventDestroy");
}

void See(const std::vector<Call>& calls, const Communicator& communicator) {
  for (const Call& call : calls) {
    const Buffers buffers = BuffersOf(call, communicator.rank(), communicator.ranks());
    SeeRead(buffers.send, buffers.send_bytes);
    SeeWrite(buffers.receive, buffers.receive_bytes);
  }
}

void Start(Unit unit) {
  const std::shared_ptr<Communicator>& communicator = unit.communicator;
  const CurrentDevice device(communicator->settings().device);
  const cudaStream_t stream = unit.calls.front().stream;
  std::vector<cudaStream_t> others;
  for (const Call& call : unit.calls) {
    if (call.stream != stream && std::find(others.begin(), others.end(), call.stream) == others.end()) {
      others.push_back(call.stream);
    }
  }
  cudaStreamCaptureStatus capture = cudaStreamCaptureStatusNone;
  Must(cudaStreamIsCapturing(stream, &capture), "cudaStreamIsCapturing");
  const bool captured = capture != cudaStreamCaptureStatusNone;
  if (!captured && communicator->recorded && communicator->last_stream != stream) {
    Must(cudaStreamWaitEvent(stream, communicator->event(), 0), "cudaStreamWaitEvent");
  }
  for (const cudaStream_t other : others) Follow(stream, other);
  auto launch = captured ? nullptr : std::make_shared<Launch>(communicator);
  Enqueue(stream, unit.name, [communicator, calls = std::move(unit.calls), launch = std::move(launch)]() mutable {
    See(calls, *communicator);
    const OwnAffairs own;
    communicator->Execute(calls);
    launch.reset();
    return cudaSuccess;
  });
  for (const cudaStream_t other : others) Follow(other, stream);
  if (!captured) {
    Must(cudaEventRecord(communicator->event(), stream), "cudaEventRecord");
    communicator->last_stream = stream;
    communicator->recorded = true;
  }
}

ncclResult_t StartAll(std::vector<Unit> units) {
  ncclResult_t result = ncclSuccess;
  for (Unit& unit : units) {
    const char* const name = unit.name;
    try {
      Start(std::move(unit));
    } catch (const Failure& failure) {
      result = Refuse(failure.result, name, failure.text);
    }
  }
  return result;
}

// Setups wait for each other, so each has a thread; the last one alone may use this one.
ncclResult_t SetUpAll(std::vector<Setup> setups) {
  std::vector<std::thread> waited_for;
  std::vector<ncclResult_t> results(setups.size(), ncclSuccess);
  bool in_progress = false;
  for (std::size_t i = 0; i < setups.size(); ++i) {
    Setup setup = std::move(setups[i]);
    const std::shared_ptr<Communicator> communicator = setup.communicator;
    communicator->BeginWork();
    if (!communicator->settings().blocking) {
      in_progress = true;
      std::thread([setup = std::move(setup)] {
        const OwnAffairs own;
        setup.communicator->DoWork(setup.work);
      }).detach();
      continue;
    }
    const auto run = [setup = std::move(setup), &result = results[i]] {
      const OwnAffairs own;
      result = setup.communicator->DoWork(setup.work);
      if (result != ncclSuccess) setup.failed();
    };
    if (setups.size() == 1) {
      run();
    } else {
      waited_for.emplace_back(run);
    }
  }
  for (std::thread& thread : waited_for) thread.join();
  for (const ncclResult_t result : results) {
    if (result != ncclSuccess) return result;
  }
  return in_progress ? ncclInProgress : ncclSuccess;
}

}  // namespace

void StartGroup() { ++ThisThreads().depth; }

void SpoilGroup(ncclResult_t result) {
  Group& group = ThisThreads();
  if (group.depth > 0 && group.spoiled == ncclSuccess) group.spoiled = result;
}

ncclResult_t EndGroup() {
  Group& group = ThisThreads();
  if (group.depth == 0) return Refuse(ncclInvalidUsage, "ncclGroupEnd", "there was no ncclGroupStart");
  if (--group.depth > 0) return ncclSuccess;
  Group ended = std::exchange(group, Group{});
  if (ended.spoiled != ncclSuccess) {
    for (const Setup& setup : ended.setups) setup.failed();
    return ended.spoiled;
  }
  if (!ended.units.empty() && !ended.setups.empty()) {
    for (const Setup& setup : ended.setups) setup.failed();
    return Refuse(ncclInvalidUsage, "ncclGroupEnd", "a group holds operations or setups, not both");
  }
  return ended.setups.empty() ? StartAll(std::move(ended.units)) : SetUpAll(std::move(ended.setups));
}

ncclResult_t Submit(const std::shared_ptr<Communicator>& communicator, const char* call_name, const Call& call) {
  Group& group = ThisThreads();
  if (group.depth == 0) {
    std::vector<Unit> units;
    units.push_back({communicator, call_name, {call}});
    return StartAll(std::move(units));
  }
  const auto same = [&](const Unit& unit) { return unit.communicator == communicator; };
  const auto unit = std::find_if(group.units.begin(), group.units.end(), same);
  if (unit == group.units.end()) {
    group.units.push_back({communicator, call_name, {call}});
  } else {
    unit->calls.push_back(call);
  }
  return ncclSuccess;
}

ncclResult_t SubmitSetup(const std::shared_ptr<Communicator>& communicator, std::function<void()> work,
                         std::function<void()> failed) {
  Group& group = ThisThreads();
  if (group.depth > 0) {
    group.setups.push_back({communicator, std::move(work), std::move(failed)});
    return ncclSuccess;
  }
  std::vector<Setup> setups;
  setups.push_back({communicator, std::move(work), std::move(failed)});
  return SetUpAll(std::move(setups));
}

}  // namespace lockstep::virtual_gpu::nccl
