// NCCL of virtual GPUs: how communicators are made, split and ended, what calls refuse, and imagined links.
#include <gtest/gtest.h>
#include <nccl.h>

#include <chrono>
#include <functional>

#include "suites/virtual_gpu/ranks.h"

namespace lockstep::suites::virtual_gpu {
namespace {

std::int64_t SumOverRanks(ncclComm_t communicator, std::int64_t mine) {
  const Stream stream;
  const DeviceArray<std::int64_t> value(std::vector<std::int64_t>{mine});
  EXPECT_EQ(ncclAllReduce(value.data(), value.data(), 1, ncclInt64, ncclSum, communicator, stream), ncclSuccess);
  stream.Synchronize();
  return value.Read()[0];
}

int Told(ncclResult_t (*call)(const ncclComm_t, int*), ncclComm_t communicator) {
  int value = -1;
  EXPECT_EQ(call(communicator, &value), ncclSuccess);
  return value;
}

TEST(NcclSetup, ACommunicatorKnowsItsRanksAndDevice) {
  ExpectAllPassed(RunRanks(3, [](Rank& rank) {
    Must(cudaSetDevice(rank.rank() + 2), "cudaSetDevice");
    const ncclComm_t communicator = rank.Communicator();
    EXPECT_EQ(Told(ncclCommCount, communicator), 3);
    EXPECT_EQ(Told(ncclCommUserRank, communicator), rank.rank());
    EXPECT_EQ(Told(ncclCommCuDevice, communicator), rank.rank() + 2);
    EXPECT_EQ(ncclCommDestroy(communicator), ncclSuccess);
  }));
}

TEST(NcclSetup, SixteenRanksMakeSevenCommunicatorsAndUseThemAll) {
  ExpectAllPassed(RunRanks(16, [](Rank& rank) {
    std::vector<ncclComm_t> communicators;
    for (int i = 0; i < 7; ++i) communicators.push_back(rank.Communicator());
    for (const ncclComm_t communicator : communicators) EXPECT_EQ(SumOverRanks(communicator, rank.rank()), 120);
    for (const ncclComm_t communicator : communicators) EXPECT_EQ(ncclCommDestroy(communicator), ncclSuccess);
  }));
}

TEST(NcclSetup, WithoutBlockingIsInProgressUntilAllHaveCome) {
  ExpectAllPassed(RunRanks(2, [](Rank& rank) {
    const ncclUniqueId id = rank.Id();
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    ncclComm_t communicator = nullptr;
    ncclResult_t state = ncclSuccess;
    const DeviceArray<float> x(std::size_t{4});
    if (rank.rank() == 0) {
      EXPECT_EQ(ncclCommInitRankConfig(&communicator, 2, id, 0, &config), ncclInProgress);
      EXPECT_EQ(ncclCommGetAsyncError(communicator, &state), ncclSuccess);
      EXPECT_EQ(state, ncclInProgress);
      EXPECT_EQ(ncclBcast(x.data(), 4, ncclFloat32, 0, communicator, nullptr), ncclInvalidArgument);
    }
    rank.Barrier();
    if (rank.rank() == 1) {
      EXPECT_EQ(ncclCommInitRankConfig(&communicator, 2, id, 1, &config), ncclInProgress);
    }
    do {
      EXPECT_EQ(ncclCommGetAsyncError(communicator, &state), ncclSuccess);
    } while (state == ncclInProgress);
    EXPECT_EQ(state, ncclSuccess);
    EXPECT_EQ(SumOverRanks(communicator, 1), 2);
    EXPECT_EQ(ncclCommFinalize(communicator), ncclInProgress);
    do {
      EXPECT_EQ(ncclCommGetAsyncError(communicator, &state), ncclSuccess);
    } while (state == ncclInProgress);
    EXPECT_EQ(state, ncclSuccess);
    EXPECT_EQ(ncclBcast(x.data(), 4, ncclFloat32, 0, communicator, nullptr), ncclInvalidUsage);  // it is finalized
    EXPECT_EQ(ncclCommDestroy(communicator), ncclSuccess);
  }));
}

TEST(NcclSetup, OneProcessDrivesSeveralDevices) {
  ExpectAllPassed(RunRanks(1, [](Rank&) {
    constexpr int kDevices = 4;
    ncclComm_t communicators[kDevices];
    const int devices[kDevices] = {3, 1, 0, 2};
    ASSERT_EQ(ncclCommInitAll(communicators, kDevices, devices), ncclSuccess);
    std::vector<cudaStream_t> streams(kDevices);
    std::vector<DeviceArray<std::int32_t>> values;
    for (int i = 0; i < kDevices; ++i) {
      EXPECT_EQ(Told(ncclCommUserRank, communicators[i]), i);
      EXPECT_EQ(Told(ncclCommCuDevice, communicators[i]), devices[i]);
      Must(cudaSetDevice(devices[i]), "cudaSetDevice");
      Must(cudaStreamCreateWithFlags(&streams[static_cast<std::size_t>(i)], cudaStreamNonBlocking), "a stream");
      values.emplace_back(std::vector<std::int32_t>(1000, i));
    }
    ncclGroupStart();
    for (std::size_t i = 0; i < kDevices; ++i) {
      ncclAllReduce(values[i].data(), values[i].data(), 1000, ncclInt32, ncclSum, communicators[i], streams[i]);
    }
    ASSERT_EQ(ncclGroupEnd(), ncclSuccess);
    for (std::size_t i = 0; i < kDevices; ++i) {
      Must(cudaStreamSynchronize(streams[i]), "cudaStreamSynchronize");
      EXPECT_EQ(values[i].Read(), std::vector<std::int32_t>(1000, 6));
    }
    for (const ncclComm_t communicator : communicators) EXPECT_EQ(ncclCommDestroy(communicator), ncclSuccess);
  }));
}

TEST(NcclSetup, TwoRanksOnOneDeviceOfAProcessAreRefused) {
  const auto ends = RunRanks(1, [](Rank&) {
    ncclComm_t communicators[2] = {};
    const int devices[] = {1, 1};
    EXPECT_EQ(ncclCommInitAll(communicators, 2, devices), ncclInvalidUsage);
    EXPECT_EQ(communicators[0], nullptr);
    EXPECT_EQ(communicators[1], nullptr);
  });
  ExpectAllPassed(ends);
  EXPECT_TRUE(ends[0].Says("rank 0 and rank 1 are both on process ")) << ends[0].errors;
}

// Whoever comes second is refused, and whoever waits for it learns why.
TEST(NcclSetup, RanksThatDisagreeOnTheirPlacesAreToldSo) {
  const struct {
    int ranks_of_one, rank_of_one;
    const char* words;
  } cases[] = {{3, 1, " says that there are "}, {2, 0, "two are rank 0"}};
  for (const auto& each : cases) {
    const auto ends = RunRanks(2, [&](Rank& rank) {
      const ncclUniqueId id = rank.Id();
      ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
      config.blocking = 0;
      ncclComm_t communicator = nullptr;
      const bool one = rank.rank() == 1;
      EXPECT_EQ(
          ncclCommInitRankConfig(&communicator, one ? each.ranks_of_one : 2, id, one ? each.rank_of_one : 0, &config),
          ncclInProgress);
      EXPECT_EQ(AwaitError(communicator), ncclInvalidUsage);
      rank.Barrier();
      EXPECT_EQ(ncclCommAbort(communicator), ncclSuccess);
    });
    ExpectAllPassed(ends);
    for (const RankEnd& end : ends) EXPECT_TRUE(end.Says(each.words)) << end.errors;
  }
}

TEST(NcclSetup, AnIdOfNobodyIsRefused) {
  ExpectAllPassed(RunRanks(1, [](Rank&) {
    ncclComm_t communicator = nullptr;
    ncclUniqueId id{};
    EXPECT_EQ(ncclCommInitRank(&communicator, 1, id, 0), ncclInvalidArgument);
    ASSERT_EQ(ncclGetUniqueId(&id), ncclSuccess);
    EXPECT_EQ(ncclCommInitRank(&communicator, 1, id, 0), ncclSuccess);
    ncclComm_t again = nullptr;
    EXPECT_EQ(ncclCommInitRank(&again, 1, id, 0), ncclSystemError);  // all its ranks have come
    EXPECT_EQ(ncclCommInitRank(&again, 0, id, 0), ncclInvalidArgument);
    EXPECT_EQ(ncclCommInitRank(&again, 2, id, 2), ncclInvalidArgument);
    ncclConfig_t config{};
    EXPECT_EQ(ncclCommInitRankConfig(&again, 1, id, 0, &config), ncclInvalidArgument);
    EXPECT_EQ(ncclCommDestroy(communicator), ncclSuccess);
    EXPECT_EQ(ncclCommDestroy(communicator), ncclInvalidArgument);
  }));
}

TEST(NcclSplit, GroupsByColorAndOrdersByKey) {
  ExpectAllPassed(RunRanks(6, [](Rank& rank) {
    const ncclComm_t world = rank.Communicator();
    ncclComm_t part = nullptr;
    // Ranks 0, 2, 4 in reverse; 1 and 3; 5 in none.
    const int color = rank.rank() == 5 ? NCCL_SPLIT_NOCOLOR : rank.rank() % 2;
    const int key = color == 0 ? -rank.rank() : 0;
    ASSERT_EQ(ncclCommSplit(world, color, key, &part, nullptr), ncclSuccess);
    if (rank.rank() == 5) {
      EXPECT_EQ(part, nullptr);
    } else {
      EXPECT_EQ(Told(ncclCommCount, part), color == 0 ? 3 : 2);
      EXPECT_EQ(Told(ncclCommUserRank, part), color == 0 ? 2 - rank.rank() / 2 : rank.rank() / 2);
      EXPECT_EQ(SumOverRanks(part, rank.rank()), color == 0 ? 6 : 4);
      ncclComm_t alone = nullptr;
      ASSERT_EQ(ncclCommSplit(part, rank.rank(), 0, &alone, nullptr), ncclSuccess);
      EXPECT_EQ(SumOverRanks(alone, 9), 9);
      EXPECT_EQ(ncclCommDestroy(alone), ncclSuccess);
      EXPECT_EQ(ncclCommDestroy(part), ncclSuccess);
    }
    EXPECT_EQ(SumOverRanks(world, 1), 6);
    EXPECT_EQ(ncclCommSplit(world, -7, 0, &part, nullptr), ncclInvalidArgument);
    EXPECT_EQ(ncclCommDestroy(world), ncclSuccess);
  }));
}

TEST(NcclSplit, WithoutBlockingIsInProgressToo) {
  ExpectAllPassed(RunRanks(2, [](Rank& rank) {
    const ncclComm_t world = rank.Communicator();
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    ncclComm_t part = nullptr;
    ncclResult_t state = ncclSuccess;
    if (rank.rank() == 1) rank.Barrier();
    EXPECT_EQ(ncclCommSplit(world, 0, 0, &part, &config), ncclInProgress);
    if (rank.rank() == 0) {
      EXPECT_EQ(ncclCommGetAsyncError(part, &state), ncclSuccess);
      EXPECT_EQ(state, ncclInProgress);
      rank.Barrier();
    }
    do {
      EXPECT_EQ(ncclCommGetAsyncError(part, &state), ncclSuccess);
    } while (state == ncclInProgress);
    EXPECT_EQ(SumOverRanks(part, 5), 10);
    EXPECT_EQ(ncclCommDestroy(part), ncclSuccess);
    EXPECT_EQ(ncclCommDestroy(world), ncclSuccess);
  }));
}

TEST(NcclCalls, RefuseWhatTheyCantUseAndSayWhy) {
  const auto ends = RunRanks(1, [](Rank& rank) {
    const ncclComm_t communicator = rank.Communicator();
    const Stream stream;
    const DeviceArray<float> x(std::size_t{15});  // and one element more
    float host[16] = {};
    const struct {
      std::function<ncclResult_t()> call;
      const char* words;
    } cases[] = {
        {[&] { return ncclAllReduce(host, host, 16, ncclFloat32, ncclSum, communicator, stream); },
         "ncclAllReduce: sendbuff is host memory, device memory is needed"},
        {[&] { return ncclBcast(nullptr, 16, ncclFloat32, 0, communicator, stream); }, "ncclBcast: sendbuff is null"},
        {[&] { return ncclAllReduce(x.data(), x.data(), 17, ncclFloat32, ncclSum, communicator, stream); },
         "ncclAllReduce: sendbuff has 64 bytes, 68 are needed"},
        {[&] { return ncclAllReduce(x.data(), x.data() + 1, 8, ncclFloat32, ncclSum, communicator, stream); },
         "sendbuff and recvbuff overlap"},
        {[&] {
           return ncclAllReduce(x.data(), x.data(), 8, static_cast<ncclDataType_t>(6), ncclSum, communicator, stream);
         },
         "datatype 6 is not covered"},
        {[&] {
           return ncclAllReduce(x.data(), x.data(), 8, ncclFloat32, static_cast<ncclRedOp_t>(5), communicator, stream);
         },
         "op 5 is not covered"},
        {[&] { return ncclSend(x.data(), 8, ncclFloat32, 1, communicator, stream); }, "peer 1 is none of the 1 ranks"},
        {[&] { return ncclReduce(x.data(), x.data(), 8, ncclFloat32, ncclSum, -1, communicator, stream); },
         "root -1 is none of the 1 ranks"},
        {[&] { return ncclBcast(x.data(), 8, ncclFloat32, 0, nullptr, stream); },
         "ncclBcast: the communicator is none, or destroyed"},
    };
    for (const auto& wrong : cases) {
      EXPECT_EQ(wrong.call(), ncclInvalidArgument) << wrong.words;
      EXPECT_NE(std::string(ncclGetLastError(nullptr)).find(wrong.words), std::string::npos)
          << ncclGetLastError(nullptr);
    }
    int version = 0;
    EXPECT_EQ(ncclGetVersion(&version), ncclSuccess);
    EXPECT_EQ(version, NCCL_VERSION_CODE);
    EXPECT_STREQ(ncclGetErrorString(ncclInvalidUsage), "invalid usage");
    EXPECT_EQ(ncclCommDestroy(communicator), ncclSuccess);
  });
  ExpectAllPassed(ends);
}

// At least the imagined time: how much more is the machine's affair.
TEST(NcclLinks, TakeTheirImaginedTime) {
  setenv("LOCKSTEP_VIRTUAL_LINK_BYTES_PER_SECOND", "1e6", 1);
  setenv("LOCKSTEP_VIRTUAL_LINK_LATENCY_SECONDS", "0.01", 1);
  ExpectAllPassed(RunRanks(2, [](Rank& rank) {
    const ncclComm_t communicator = rank.Communicator();
    const Stream stream;
    const DeviceArray<char> x(std::size_t{50000});
    const auto start = std::chrono::steady_clock::now();
    ncclAllReduce(x.data(), x.data(), 50000, ncclInt8, ncclMax, communicator, stream);
    stream.Synchronize();
    EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(70));  // 2 steps of 10 + 25 ms
    ncclCommDestroy(communicator);
  }));
  unsetenv("LOCKSTEP_VIRTUAL_LINK_BYTES_PER_SECOND");
  unsetenv("LOCKSTEP_VIRTUAL_LINK_LATENCY_SECONDS");
}

TEST(NcclLinks, AWrongSpeedEndsTheProcessWithOneLine) {
  for (const char* wrong : {"fast", "0", "-1", "1e6x", "nan", ""}) {
    setenv("LOCKSTEP_VIRTUAL_LINK_BYTES_PER_SECOND", wrong, 1);
    const auto ends = RunRanks(1, [](Rank&) {
      ncclUniqueId id;
      ncclGetUniqueId(&id);
    });
    EXPECT_TRUE(WIFEXITED(ends[0].status) && WEXITSTATUS(ends[0].status) == 2) << wrong;
    EXPECT_EQ(ends[0].errors, std::string("LOCKSTEP_VIRTUAL_LINK_BYTES_PER_SECOND is '") + wrong +
                                  "': a number from 1 to 1e+15 is needed\n");
  }
  unsetenv("LOCKSTEP_VIRTUAL_LINK_BYTES_PER_SECOND");
}

}  // namespace
}  // namespace lockstep::suites::virtual_gpu
