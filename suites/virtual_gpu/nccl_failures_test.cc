// NCCL of virtual GPUs: ranks that call different things, ranks that die, and how one gets out.
#include <gtest/gtest.h>
#include <nccl.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "suites/virtual_gpu/ranks.h"

namespace lockstep::suites::virtual_gpu {
namespace {

// One rank's call: `x` holds 64 elements of 8 bytes.
using RankCall = std::function<ncclResult_t(double* x, ncclComm_t communicator, cudaStream_t stream)>;

RankCall AllReduce(std::size_t count, ncclDataType_t type = ncclFloat32, ncclRedOp_t reduction = ncclSum) {
  return [=](double* x, ncclComm_t communicator, cudaStream_t stream) {
    return ncclAllReduce(x, x, count, type, reduction, communicator, stream);
  };
}
RankCall Broadcast(int root) {
  return [=](double* x, ncclComm_t communicator, cudaStream_t stream) {
    return ncclBcast(x, 12, ncclFloat32, root, communicator, stream);
  };
}
RankCall Send(std::size_t count, int peer, ncclDataType_t type = ncclFloat32) {
  return [=](double* x, ncclComm_t communicator, cudaStream_t stream) {
    return ncclSend(x, count, type, peer, communicator, stream);
  };
}
RankCall Receive(std::size_t count, int peer, ncclDataType_t type = ncclFloat32) {
  return [=](double* x, ncclComm_t communicator, cudaStream_t stream) {
    return ncclRecv(x, count, type, peer, communicator, stream);
  };
}
RankCall Both(const RankCall& first, const RankCall& second) {
  return [=](double* x, ncclComm_t communicator, cudaStream_t stream) {
    const ncclResult_t result = first(x, communicator, stream);
    return result != ncclSuccess ? result : second(x, communicator, stream);
  };
}

// Every rank's call, of which one does not fit: all learn of it, in the same words, and get out by aborting.
void ExpectCaught(const std::vector<RankCall>& calls, const std::string& line) {
  const auto ends = RunRanks(static_cast<int>(calls.size()), [&](Rank& rank) {
    const ncclComm_t communicator = rank.Communicator();
    {
      const Stream stream;
      const DeviceArray<double> x(std::size_t{64});
      const ncclResult_t result = calls[static_cast<std::size_t>(rank.rank())](x.data(), communicator, stream);
      ASSERT_TRUE(result == ncclSuccess || result == ncclInvalidUsage);  // if it is known at the second call already
      EXPECT_EQ(AwaitError(communicator), ncclInvalidUsage);
      EXPECT_NE(std::string(ncclGetLastError(communicator)).find(line), std::string::npos)
          << ncclGetLastError(communicator);
      EXPECT_EQ(AllReduce(12)(x.data(), communicator, stream), ncclInvalidUsage);  // it stays so
      rank.Barrier();
      EXPECT_EQ(ncclCommAbort(communicator), ncclSuccess);
      EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
    }
  });
  ExpectAllPassed(ends);
  for (const RankEnd& end : ends) EXPECT_TRUE(end.Says(line)) << end.errors;
}

TEST(NcclMismatch, OfCountsNamesTheRankThatDiffers) {
  ExpectCaught({AllReduce(12), AllReduce(12), AllReduce(12), AllReduce(16)},
               "virtual NCCL: rank 0 of 4 called all-reduce of 12 float32, rank 3 called all-reduce of 16 float32");
  ExpectCaught({AllReduce(16), AllReduce(12), AllReduce(12), AllReduce(12)},
               "virtual NCCL: rank 1 of 4 called all-reduce of 12 float32, rank 0 called all-reduce of 16 float32");
  ExpectCaught({AllReduce(0), AllReduce(1)},
               "virtual NCCL: rank 0 of 2 called all-reduce of 0 float32, rank 1 called all-reduce of 1 float32");
}

TEST(NcclMismatch, OfTypesNamesTheRankThatDiffers) {
  ExpectCaught({AllReduce(12), AllReduce(12, ncclFloat64), AllReduce(12)},
               "virtual NCCL: rank 0 of 3 called all-reduce of 12 float32, rank 1 called all-reduce of 12 float64");
}

TEST(NcclMismatch, OfReductionsNamesTheRankThatDiffers) {
  ExpectCaught(
      {AllReduce(12), AllReduce(12), AllReduce(12, ncclFloat32, ncclMax)},
      "virtual NCCL: rank 0 of 3 called all-reduce of 12 float32, rank 2 called all-reduce (max) of 12 float32");
}

TEST(NcclMismatch, OfRootsNamesTheRankThatDiffers) {
  ExpectCaught({Broadcast(0), Broadcast(1), Broadcast(1)},
               "virtual NCCL: rank 1 of 3 called broadcast of 12 float32 from rank 1, rank 0 called broadcast of 12 "
               "float32 from rank 0");
}

TEST(NcclMismatch, OfOperationsNamesTheRankThatDiffers) {
  const RankCall gather = [](double* x, ncclComm_t communicator, cudaStream_t stream) {
    return ncclAllGather(x + 8, x, 3, ncclInt32, communicator, stream);
  };
  ExpectCaught({AllReduce(12), gather},
               "virtual NCCL: rank 0 of 2 called all-reduce of 12 float32, rank 1 called all-gather of 3 int32");
}

TEST(NcclMismatch, OfOrdersIsOneToo) {
  ExpectCaught({Both(AllReduce(12), Broadcast(0)), Both(Broadcast(0), AllReduce(12))},
               "virtual NCCL: rank 0 of 2 called all-reduce of 12 float32, rank 1 called broadcast of 12 float32 from "
               "rank 0");
}

TEST(NcclMismatch, OfOrdersOnTwoStreamsIsOneToo) {
  const auto on_two = [](const RankCall& first, const RankCall& second) -> RankCall {
    return [=](double* x, ncclComm_t communicator, cudaStream_t stream) {
      cudaStream_t other = nullptr;
      Must(cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
      const ncclResult_t result = first(x, communicator, stream);
      return result != ncclSuccess ? result : second(x, communicator, other);
    };
  };
  ExpectCaught({on_two(AllReduce(12), Broadcast(0)), on_two(Broadcast(0), AllReduce(12))},
               "virtual NCCL: rank 0 of 2 called all-reduce of 12 float32, rank 1 called broadcast of 12 float32 from "
               "rank 0");
}

TEST(NcclMismatch, OfAMessagesEndsIsNamed) {
  ExpectCaught(
      {Send(12, 1), Receive(16, 0)},
      "virtual NCCL: rank 0 of 2 called send of 12 float32 to rank 1, rank 1 called receive of 16 float32 from "
      "rank 0");
  ExpectCaught({Send(12, 1, ncclInt32), Receive(12, 0)},
               "virtual NCCL: rank 0 of 2 called send of 12 int32 to rank 1, rank 1 called receive of 12 float32 from "
               "rank 0");
}

// Nothing differs, but every rank waits for another one's later call.
TEST(NcclMismatch, RanksThatWaitInACircleAreNamed) {
  ExpectCaught({Both(AllReduce(12), Send(3, 1)), Both(Receive(3, 0), AllReduce(12))}, "and wait in a circle: rank ");
  ExpectCaught({Both(Send(3, 1), Receive(3, 1)), Both(Send(3, 0), Receive(3, 0))},
               "the 2 ranks make their calls in different orders, and wait in a circle: rank ");
  ExpectCaught({Both(Send(3, 1), Receive(3, 2)), Both(Send(3, 2), Receive(3, 0)), Both(Send(3, 0), Receive(3, 1))},
               "the 3 ranks make their calls in different orders, and wait in a circle: rank ");
}

// Rank 1 dies at once, or after it has left rank 0 waiting; whoever waits for it, or asks, is told.
void ExpectDeathIsNamed(const RankCall& others_call) {
  const auto ends = RunRanks(3, [&](Rank& rank) {
    const ncclComm_t communicator = rank.Communicator("tensor");
    rank.Barrier();
    if (rank.rank() == 1) raise(SIGKILL);
    const Stream stream;
    const DeviceArray<double> x(std::size_t{64});
    if (others_call) {
      const ncclResult_t result = others_call(x.data(), communicator, stream);
      ASSERT_TRUE(result == ncclSuccess || result == ncclRemoteError);  // if the other has found it already
    }
    EXPECT_EQ(AwaitError(communicator), ncclRemoteError);
    EXPECT_NE(std::string(ncclGetLastError(communicator)).find("rank 1"), std::string::npos);
    EXPECT_EQ(ncclCommAbort(communicator), ncclSuccess);
    EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
  });
  EXPECT_TRUE(ends[0].Passed() && ends[2].Passed()) << ends[0].errors << ends[2].errors;
  EXPECT_TRUE(WIFSIGNALED(ends[1].status));
  for (const int survivor : {0, 2}) {
    const RankEnd& end = ends[static_cast<std::size_t>(survivor)];
    EXPECT_TRUE(end.Says("virtual NCCL: tensor: ") && end.Says("has died (process ")) << end.errors;
  }
}

TEST(NcclDeath, OfARankInACollectiveIsNamed) { ExpectDeathIsNamed(AllReduce(12)); }
TEST(NcclDeath, OfARankThatShouldReceiveIsNamed) { ExpectDeathIsNamed(Send(12, 1)); }
TEST(NcclDeath, OfARankThatShouldSendIsNamed) { ExpectDeathIsNamed(Receive(12, 1)); }
TEST(NcclDeath, IsSeenByRanksThatWaitForNothing) { ExpectDeathIsNamed(nullptr); }

TEST(NcclDeath, DoesNotStopWhatTheDeadHadNoPartIn) {
  const auto ends = RunRanks(3, [](Rank& rank) {
    const ncclComm_t communicator = rank.Communicator();
    rank.Barrier();
    if (rank.rank() == 1) raise(SIGKILL);
    const Stream stream;
    const DeviceArray<double> x(std::size_t{64});
    const RankCall call = rank.rank() == 0 ? Send(3, 2) : Receive(3, 0);
    EXPECT_EQ(call(x.data(), communicator, stream), ncclSuccess);
    stream.Synchronize();
    ncclCommAbort(communicator);
  });
  EXPECT_TRUE(ends[0].Passed() && ends[2].Passed());
}

// What outlives a process unless it is taken away, of this one: named sockets ("@name", from /proc/net/unix) and files
// of shared memory. Others on the machine have theirs.
std::vector<std::string> NamesHeld() {
  std::set<std::string> descriptors;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    descriptors.insert(std::filesystem::read_symlink(entry.path(), gone));
  }
  std::vector<std::string> names;
  std::ifstream sockets("/proc/net/unix");
  for (std::string line; std::getline(sockets, line);) {
    std::istringstream columns(line);
    std::string skipped, inode, name;
    for (int i = 0; i < 6; ++i) columns >> skipped;
    if (columns >> inode >> name && descriptors.contains("socket:[" + inode + "]")) names.push_back(name);
  }
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    if (const auto at = line.find("/dev/shm/"); at != std::string::npos) names.push_back(line.substr(at));
  }
  return names;
}

bool IsThere(const std::string& name) {
  if (name.starts_with("/")) return std::filesystem::exists(name);
  std::ifstream sockets("/proc/net/unix");
  for (std::string line; std::getline(sockets, line);) {
    if (line.ends_with(" " + name)) return true;
  }
  return false;
}

TEST(NcclDeath, LeavesNothingBehind) {
  const auto ends = RunRanks(4, [](Rank& rank) {
    const auto tell = [] {
      for (const std::string& name : NamesHeld()) std::cerr << "holds " << name << std::endl;
    };
    const ncclUniqueId id = rank.Id();
    tell();
    ncclComm_t communicator = nullptr;
    EXPECT_EQ(ncclCommInitRank(&communicator, rank.ranks(), id, rank.rank()), ncclSuccess);
    const Stream stream;
    const DeviceArray<double> x(std::size_t{64});
    AllReduce(12)(x.data(), communicator, stream);
    stream.Synchronize();
    tell();
    rank.Barrier();
    raise(SIGKILL);
  });
  std::set<std::string> held;
  for (const RankEnd& end : ends) {
    std::istringstream lines(end.errors);
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with("holds ")) held.insert(line.substr(6));
    }
  }
  EXPECT_TRUE(std::any_of(held.begin(), held.end(), [](const std::string& name) {
    return name.starts_with("@lockstep-virtual-nccl-");
  })) << "no socket of virtual NCCL was seen, so nothing was compared";
  for (const std::string& name : held) EXPECT_FALSE(IsThere(name)) << name;
}

TEST(NcclAbort, WakesWhateverWaitsAndTellsThePeers) {
  const auto ends = RunRanks(2, [](Rank& rank) {
    const ncclComm_t communicator = rank.Communicator();
    const Stream first, second;
    const DeviceArray<double> x(std::size_t{64});
    if (rank.rank() == 0) {
      AllReduce(12)(x.data(), communicator, first);
      AllReduce(12)(x.data(), communicator, second);
      EXPECT_EQ(cudaStreamQuery(first), cudaErrorNotReady);
      EXPECT_EQ(ncclCommAbort(communicator), ncclSuccess);
      first.Synchronize();
      second.Synchronize();
      rank.Barrier();
      EXPECT_EQ(ncclCommAbort(communicator), ncclInvalidArgument);
    } else {
      rank.Barrier();
      AllReduce(12)(x.data(), communicator, first);
      EXPECT_EQ(AwaitError(communicator), ncclRemoteError);
      EXPECT_EQ(ncclCommAbort(communicator), ncclSuccess);
    }
  });
  ExpectAllPassed(ends);
  EXPECT_TRUE(ends[1].Says("rank 0") && ends[1].Says("has aborted the communicator")) << ends[1].errors;
}

TEST(NcclAbort, OfOneCommunicatorLeavesAnotherAlone) {
  ExpectAllPassed(RunRanks(2, [](Rank& rank) {
    const ncclComm_t lost = rank.Communicator(), kept = rank.Communicator();
    const Stream stream, other;
    const DeviceArray<std::int32_t> x(std::vector<std::int32_t>{1});
    if (rank.rank() == 0) ncclAllReduce(x.data(), x.data(), 1, ncclInt32, ncclSum, lost, other);
    rank.Barrier();
    EXPECT_EQ(ncclCommAbort(lost), ncclSuccess);
    other.Synchronize();
    EXPECT_EQ(ncclAllReduce(x.data(), x.data(), 1, ncclInt32, ncclSum, kept, stream), ncclSuccess);
    stream.Synchronize();
    EXPECT_EQ(x.Read()[0], 2);
    EXPECT_EQ(ncclCommDestroy(kept), ncclSuccess);
  }));
}

TEST(NcclAbort, EndsASetupThatWaitsForOthers) {
  ExpectAllPassed(RunRanks(2, [](Rank& rank) {
    const ncclUniqueId id = rank.Id();
    if (rank.rank() == 0) {
      ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
      config.blocking = 0;
      ncclComm_t communicator = nullptr;
      EXPECT_EQ(ncclCommInitRankConfig(&communicator, 2, id, 0, &config), ncclInProgress);
      EXPECT_EQ(ncclCommAbort(communicator), ncclSuccess);
    }
    rank.Barrier();
  }));
}

// The streams' threads wait in an operation that nobody aborts; the process ends all the same.
TEST(NcclAbort, HappensByItselfWhenTheProcessExits) {
  const auto ends = RunRanks(2, [](Rank& rank) {
    const ncclComm_t communicator = rank.Communicator();
    cudaStream_t stream = nullptr;
    double* x = nullptr;
    Must(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
    Must(cudaMalloc(reinterpret_cast<void**>(&x), 512), "cudaMalloc");
    AllReduce(rank.rank() == 0 ? 12 : 13)(x, communicator, stream);
    AwaitError(communicator);
    std::exit(5);
  });
  for (const RankEnd& end : ends) EXPECT_TRUE(WIFEXITED(end.status) && WEXITSTATUS(end.status) == 5) << end.status;
}

TEST(NcclLeaving, WhileAPeerStillWaitsIsNamed) {
  const auto ends = RunRanks(2, [](Rank& rank) {
    const ncclComm_t communicator = rank.Communicator();
    if (rank.rank() == 0) {
      EXPECT_EQ(ncclCommDestroy(communicator), ncclSuccess);
      return;
    }
    const Stream stream;
    const DeviceArray<double> x(std::size_t{64});
    AllReduce(12)(x.data(), communicator, stream);
    EXPECT_EQ(AwaitError(communicator), ncclRemoteError);
    EXPECT_EQ(ncclCommDestroy(communicator), ncclSuccess);  // which aborts what waits
  });
  ExpectAllPassed(ends);
  EXPECT_TRUE(ends[1].Says("rank 1 of 2 waits in all-reduce of 12 float32 for rank 0, which has left the communicator"))
      << ends[1].errors;
}

}  // namespace
}  // namespace lockstep::suites::virtual_gpu
