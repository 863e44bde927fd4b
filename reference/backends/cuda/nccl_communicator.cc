#include "reference/backends/cuda/nccl_communicator.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <functional>
#include <numeric>
#include <stdexcept>
#include <utility>

#include "reference/backends/cuda/check.h"
#include "reference/backends/cuda/float_order.h"

namespace lockstep::backends::cuda {
namespace {

using device::Edge;
using device::MessageHeader;
using device::Reduction;
using device::WorkHandle;

// What was complete, or enqueued on the compute stream, before it began.
class NoWork final : public device::Work {
 public:
  void Wait() override {}
  bool Done() override { return true; }
};

std::string Elements(std::int64_t n) { return " of " + std::to_string(n) + " elements"; }

bool Even(std::span<const std::int64_t> counts) {
  return std::all_of(counts.begin(), counts.end(), [&](std::int64_t count) { return count == counts[0]; });
}

// One call for every member's part that is not empty, as one group.
ncclResult_t ForParts(std::span<const std::int64_t> counts,
                      const std::function<ncclResult_t(int member, std::int64_t offset)>& call) {
  ncclResult_t result = ncclGroupStart();
  std::int64_t offset = 0;
  for (std::size_t member = 0; member < counts.size(); ++member) {
    if (counts[member] > 0 && (result == ncclSuccess || result == ncclInProgress)) {
      result = call(static_cast<int>(member), offset);
    }
    offset += counts[member];
  }
  const ncclResult_t end = ncclGroupEnd();
  return result == ncclSuccess || result == ncclInProgress ? end : result;
}

}  // namespace

NcclCommunicator::NcclCommunicator(std::shared_ptr<NcclEngine> engine, std::unique_ptr<mpi::MpiCommunicator> hosts)
    : engine_(std::move(engine)), hosts_(std::move(hosts)), setup_(hosts_->SplitGroup(0, hosts_->Rank())) {}

// All are told before the first is waited for, so that the order in which the peers close theirs does not matter.
NcclCommunicator::~NcclCommunicator() {
  const auto ending = std::uncaught_exceptions() > 0 ? NcclChannel::Ending::kAbort : NcclChannel::Ending::kOrderly;
  if (collectives_) collectives_->Close(ending);
  for (auto& [ends, link] : links_) link->Close(ending);
}

std::unique_ptr<device::Communicator> NcclCommunicator::Split(int color, int key) {
  return std::make_unique<NcclCommunicator>(engine_, hosts_->SplitGroup(color, key));
}

// Asks all members where they stand: who is silent is named, and so is who waits in another operation.
std::string NcclCommunicator::RollCall(const std::string& operation) {
  const auto deadline = std::min<std::chrono::milliseconds>(engine_->deadline(), std::chrono::seconds(5));
  try {
    std::string others;
    for (const std::string& answer : setup_->RollCall(operation, deadline)) {
      if (answer != operation) others += "; " + answer;
    }
    return "; all ranks of the group answer: " + (others.empty() ? "all wait in this one" : others.substr(2));
  } catch (const device::CommunicationError& silence) {
    return std::string("; ") + silence.what();
  }
}

NcclChannel& NcclCommunicator::Collectives() {
  if (collectives_) return *collectives_;
  NcclChannel::Members members;
  members.name = "the collectives of " + hosts_->GroupName();
  members.rank = Rank();
  members.size = Size();
  members.share = [this](float* words) { return setup_->Broadcast(kIdWords, words, 0); };
  members.suspects = [this](const std::string& operation) { return RollCall(operation); };
  collectives_ = std::make_unique<NcclChannel>(*engine_, std::move(members));
  return *collectives_;
}

NcclChannel& NcclCommunicator::Link(int from, int to) {
  auto& link = links_[{from, to}];
  if (link) return *link;
  const bool sends = Rank() == from;
  const int peer = sends ? to : from;
  const Edge edge{.source_stage = from, .target_stage = to};
  NcclChannel::Members members;
  members.name =
      "the link from member " + std::to_string(from) + " to " + std::to_string(to) + " of " + hosts_->GroupName();
  members.rank = sends ? 0 : 1;
  members.size = 2;
  members.share = [this, sends, peer, edge](float* words) {
    return sends ? setup_->Send(kIdWords, words, peer, edge) : setup_->Receive(kIdWords, words, peer, edge);
  };
  members.suspects = [this, peer](const std::string&) {
    return "; waiting for rank " + std::to_string(hosts_->World(peer)) + " of the world";
  };
  link = std::make_unique<NcclChannel>(*engine_, std::move(members));
  return *link;
}

// NCCL's maximum loses NaN; the largest of integers in the order of the floats does not.
WorkHandle NcclCommunicator::AllReduce(std::int64_t n, float* x, Reduction reduction) {
  if (Size() == 1 || n == 0) return std::make_shared<NoWork>();
  NcclChannel::Call call;
  call.name = hosts_->Name("all-reduce" + Elements(n));
  const auto count = static_cast<std::size_t>(n);
  if (reduction == Reduction::kSum) {
    call.run = [=](ncclComm_t comm, cudaStream_t stream) {
      return ncclAllReduce(x, x, count, ncclFloat32, ncclSum, comm, stream);
    };
  } else {
    call.before = [=](cudaStream_t stream) { ToOrderedIntegers(stream, n, x); };
    call.run = [=](ncclComm_t comm, cudaStream_t stream) {
      return ncclAllReduce(x, x, count, ncclInt32, ncclMax, comm, stream);
    };
    call.after = [=](cudaStream_t stream) { FromOrderedIntegers(stream, n, x); };
  }
  return Collectives().Start(std::move(call));
}

WorkHandle NcclCommunicator::Copied(std::int64_t n, const float* from, float* to) {
  if (n > 0 && from != to) {
    CUDA_CHECK(cudaMemcpyAsync(to, from, static_cast<std::size_t>(n) * sizeof(float), cudaMemcpyDeviceToDevice,
                               engine_->runtime().compute()));
  }
  return std::make_shared<NoWork>();
}

WorkHandle NcclCommunicator::AllGather(std::span<const std::int64_t> counts, const float* part, float* whole) {
  if (static_cast<int>(counts.size()) != Size()) throw std::logic_error("AllGather: one count a rank is needed");
  if (Size() == 1) return Copied(counts[0], part, whole);
  const std::int64_t total = std::reduce(counts.begin(), counts.end());
  if (total == 0) return std::make_shared<NoWork>();
  NcclChannel::Call call;
  call.name = hosts_->Name("all-gather" + Elements(total));
  call.run = [=, rank = Rank(), parts = std::vector<std::int64_t>(counts.begin(), counts.end())](ncclComm_t comm,
                                                                                                 cudaStream_t stream) {
    if (Even(parts)) return ncclAllGather(part, whole, static_cast<std::size_t>(parts[0]), ncclFloat32, comm, stream);
    return ForParts(parts, [&](int root, std::int64_t offset) {
      return ncclBroadcast(root == rank ? part : whole + offset, whole + offset, static_cast<std::size_t>(parts[root]),
                           ncclFloat32, root, comm, stream);
    });
  };
  return Collectives().Start(std::move(call));
}

WorkHandle NcclCommunicator::ReduceScatter(std::span<const std::int64_t> counts, const float* whole, float* part) {
  if (static_cast<int>(counts.size()) != Size()) throw std::logic_error("ReduceScatter: one count a rank is needed");
  if (Size() == 1) return Copied(counts[0], whole, part);
  const std::int64_t total = std::reduce(counts.begin(), counts.end());
  if (total == 0) return std::make_shared<NoWork>();
  NcclChannel::Call call;
  call.name = hosts_->Name("reduce-scatter" + Elements(total));
  call.run = [=, rank = Rank(), parts = std::vector<std::int64_t>(counts.begin(), counts.end())](ncclComm_t comm,
                                                                                                 cudaStream_t stream) {
    if (Even(parts)) {
      return ncclReduceScatter(whole, part, static_cast<std::size_t>(parts[0]), ncclFloat32, ncclSum, comm, stream);
    }
    return ForParts(parts, [&](int root, std::int64_t offset) {
      return ncclReduce(whole + offset, root == rank ? part : nullptr, static_cast<std::size_t>(parts[root]),
                        ncclFloat32, ncclSum, root, comm, stream);
    });
  };
  return Collectives().Start(std::move(call));
}

WorkHandle NcclCommunicator::Broadcast(std::int64_t n, float* x, int root) {
  if (Size() == 1 || n == 0) return std::make_shared<NoWork>();
  NcclChannel::Call call;
  call.name = hosts_->Name("broadcast" + Elements(n) + " from member " + std::to_string(root));
  call.run = [=](ncclComm_t comm, cudaStream_t stream) {
    return ncclBroadcast(x, x, static_cast<std::size_t>(n), ncclFloat32, root, comm, stream);
  };
  return Collectives().Start(std::move(call));
}

WorkHandle NcclCommunicator::Send(std::int64_t n, const float* x, int peer, const Edge& edge) {
  if (peer == Rank()) throw std::logic_error("Send: a rank sends nothing to itself");
  const MessageHeader header{n, edge};
  NcclChannel::Call call;
  call.name = hosts_->Name("send of " + ToString(header) + " to member " + std::to_string(peer));
  call.announced = hosts_->Announce(header, peer);
  if (n == 0) return call.announced;
  call.run = [=](ncclComm_t comm, cudaStream_t stream) {
    return ncclSend(x, static_cast<std::size_t>(n), ncclFloat32, 1, comm, stream);
  };
  return Link(Rank(), peer).Start(std::move(call));
}

WorkHandle NcclCommunicator::Receive(std::int64_t n, float* x, int peer, const Edge& edge) {
  if (peer == Rank()) throw std::logic_error("Receive: a rank sends nothing to itself");
  const MessageHeader header{n, edge};
  NcclChannel::Call call;
  call.name = hosts_->Name("receive of " + ToString(header) + " from member " + std::to_string(peer));
  call.expected = hosts_->Expect(header, peer);
  if (n == 0) return call.expected;
  call.run = [=](ncclComm_t comm, cudaStream_t stream) {
    return ncclRecv(x, static_cast<std::size_t>(n), ncclFloat32, 0, comm, stream);
  };
  return Link(peer, Rank()).Start(std::move(call));
}

}  // namespace lockstep::backends::cuda
