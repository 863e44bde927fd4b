// NCCL of virtual GPUs: send and receive, and groups.
#include <gtest/gtest.h>
#include <nccl.h>

#include <numeric>

#include "suites/virtual_gpu/ranks.h"

namespace lockstep::suites::virtual_gpu {
namespace {

using Values = std::vector<std::int32_t>;

// Values that tell who sent them, and where in the message they stand.
Values Message(int from, std::size_t count) {
  Values values(count);
  std::iota(values.begin(), values.end(), from * 1000000);
  return values;
}

// None, one, primes, what fills the way between two ranks, and several times that.
const std::size_t kCounts[] = {0, 1, 2, 1021, 32761, 32768, 32769, 300007};

TEST(NcclMessages, ArriveWholeWhateverTheirSize) {
  ExpectAllPassed(RunRanks(2, [](Rank& rank) {
    const ncclComm_t communicator = rank.Communicator();
    const Stream stream;
    for (const std::size_t count : kCounts) {
      const DeviceArray<std::int32_t> buffer(rank.rank() == 0 ? Message(7, count) : Values(count, -1));
      if (rank.rank() == 0) {
        ASSERT_EQ(ncclSend(buffer.data(), count, ncclInt32, 1, communicator, stream), ncclSuccess);
      } else {
        ASSERT_EQ(ncclRecv(buffer.data(), count, ncclInt32, 0, communicator, stream), ncclSuccess);
      }
      stream.Synchronize();
      ASSERT_EQ(buffer.Read(), Message(7, count));
    }
    ncclCommDestroy(communicator);
  }));
}

TEST(NcclMessages, GroupedBothWaysDoNotWaitForEachOther) {
  ExpectAllPassed(RunRanks(5, [](Rank& rank) {
    const ncclComm_t communicator = rank.Communicator();
    const Stream stream;
    const int next = (rank.rank() + 1) % 5, before = (rank.rank() + 4) % 5;
    for (const std::size_t count : kCounts) {
      const DeviceArray<std::int32_t> out(Message(rank.rank(), count)), in_a(Values(count, -1)),
          in_b(Values(count, -1));
      ncclGroupStart();
      ncclSend(out.data(), count, ncclInt32, next, communicator, stream);
      ncclSend(out.data(), count, ncclInt32, before, communicator, stream);
      ncclRecv(in_a.data(), count, ncclInt32, before, communicator, stream);
      ncclRecv(in_b.data(), count, ncclInt32, next, communicator, stream);
      ASSERT_EQ(ncclGroupEnd(), ncclSuccess);
      stream.Synchronize();
      ASSERT_EQ(in_a.Read(), Message(before, count));
      ASSERT_EQ(in_b.Read(), Message(next, count));
    }
    ncclCommDestroy(communicator);
  }));
}

TEST(NcclMessages, OfOnePairArriveInOrder) {
  ExpectAllPassed(RunRanks(2, [](Rank& rank) {
    const ncclComm_t communicator = rank.Communicator();
    const Stream stream;
    std::vector<DeviceArray<std::int32_t>> buffers;
    ncclGroupStart();
    for (std::size_t i = 0; i < 100; ++i) {
      const std::size_t count = i * 997;
      buffers.emplace_back(rank.rank() == 0 ? Message(static_cast<int>(i), count) : Values(count));
      if (rank.rank() == 0) {
        ncclSend(buffers.back().data(), count, ncclInt32, 1, communicator, stream);
      } else {
        ncclRecv(buffers.back().data(), count, ncclInt32, 0, communicator, stream);
      }
    }
    ASSERT_EQ(ncclGroupEnd(), ncclSuccess);
    stream.Synchronize();
    for (std::size_t i = 0; i < 100; ++i) ASSERT_EQ(buffers[i].Read(), Message(static_cast<int>(i), i * 997)) << i;
    ncclCommDestroy(communicator);
  }));
}

TEST(NcclMessages, ARankMaySendToItselfInAGroup) {
  ExpectAllPassed(RunRanks(1, [](Rank& rank) {
    const ncclComm_t communicator = rank.Communicator();
    const Stream stream;
    const DeviceArray<std::int32_t> out(Message(3, 100003)), in(std::size_t{100003});
    ncclGroupStart();
    ncclRecv(in.data(), in.size(), ncclInt32, 0, communicator, stream);
    ncclSend(out.data(), out.size(), ncclInt32, 0, communicator, stream);
    ASSERT_EQ(ncclGroupEnd(), ncclSuccess);
    stream.Synchronize();
    EXPECT_EQ(in.Read(), Message(3, 100003));
    ncclCommDestroy(communicator);
  }));
}

TEST(NcclMessages, AllToAllIsAGroupOfThem) {
  constexpr int kRanks = 6;
  constexpr std::size_t kCount = 5003;
  ExpectAllPassed(RunRanks(kRanks, [](Rank& rank) {
    const ncclComm_t communicator = rank.Communicator();
    const Stream stream;
    const DeviceArray<std::int32_t> out(Message(rank.rank(), kRanks * kCount)), in(kRanks * kCount);
    ncclGroupStart();
    for (int peer = 0; peer < kRanks; ++peer) {
      const std::size_t place = static_cast<std::size_t>(peer) * kCount;
      ncclSend(out.data() + place, kCount, ncclInt32, peer, communicator, stream);
      ncclRecv(in.data() + place, kCount, ncclInt32, peer, communicator, stream);
    }
    ASSERT_EQ(ncclGroupEnd(), ncclSuccess);
    stream.Synchronize();
    const auto found = in.Read();
    for (int peer = 0; peer < kRanks; ++peer) {
      const Values sent = Message(peer, kRanks * kCount);
      for (std::size_t i = 0; i < kCount; ++i) {
        ASSERT_EQ(found[static_cast<std::size_t>(peer) * kCount + i],
                  sent[static_cast<std::size_t>(rank.rank()) * kCount + i]);
      }
    }
    ncclCommDestroy(communicator);
  }));
}

// NCCL promises no buffering. One that always waits shows a program that counts on some.
TEST(NcclMessages, ASendEndsWhenItHasBeenTakenAndNotBefore) {
  ExpectAllPassed(RunRanks(2, [](Rank& rank) {
    const ncclComm_t communicator = rank.Communicator();
    const Stream stream;
    const DeviceArray<std::int32_t> buffer(Message(1, 1));
    if (rank.rank() == 0) {
      ncclSend(buffer.data(), 1, ncclInt32, 1, communicator, stream);
      for (int i = 0; i < 1000; ++i) ASSERT_EQ(cudaStreamQuery(stream), cudaErrorNotReady);
    }
    rank.Barrier();
    if (rank.rank() == 1) ncclRecv(buffer.data(), 1, ncclInt32, 0, communicator, stream);
    stream.Synchronize();
    ncclCommDestroy(communicator);
  }));
}

TEST(NcclGroups, HoldCollectivesAndMessagesInAnyOrder) {
  ExpectAllPassed(RunRanks(3, [](Rank& rank) {
    const ncclComm_t communicator = rank.Communicator();
    const Stream stream;
    const DeviceArray<std::int32_t> sum(Values(70000, 1)), gathered(Values(3, rank.rank())), message(Message(5, 70000));
    const auto messages = [&] {
      if (rank.rank() == 0) ncclSend(message.data(), 70000, ncclInt32, 2, communicator, stream);
      if (rank.rank() == 2) ncclRecv(message.data(), 70000, ncclInt32, 0, communicator, stream);
    };
    ncclGroupStart();
    if (rank.rank() == 0) messages();
    ncclAllReduce(sum.data(), sum.data(), 70000, ncclInt32, ncclSum, communicator, stream);
    ncclGroupStart();  // groups nest: nothing starts before the outer one ends
    ncclAllGather(gathered.data() + rank.rank(), gathered.data(), 1, ncclInt32, communicator, stream);
    EXPECT_EQ(ncclGroupEnd(), ncclSuccess);
    if (rank.rank() == 2) messages();
    ASSERT_EQ(ncclGroupEnd(), ncclSuccess);
    stream.Synchronize();
    EXPECT_EQ(sum.Read(), Values(70000, 3));
    EXPECT_EQ(gathered.Read(), (Values{0, 1, 2}));
    EXPECT_EQ(message.Read(), Message(5, 70000));
    ncclCommDestroy(communicator);
  }));
}

// A group's operations are one: all its streams wait for all of it.
TEST(NcclGroups, OverSeveralStreamsHoldThemAllTogether) {
  ExpectAllPassed(RunRanks(2, [](Rank& rank) {
    const ncclComm_t communicator = rank.Communicator();
    const Stream first, second;
    const DeviceArray<std::int32_t> a(Values(1, 1)), b(Values(1, 10)), late_a(Values(1, 5)), late_b(Values(1, 50));
    const std::size_t bytes = sizeof(std::int32_t);
    Must(cudaMemcpyAsync(a.data(), late_a.data(), bytes, cudaMemcpyDeviceToDevice, first), "copy");
    Must(cudaMemcpyAsync(b.data(), late_b.data(), bytes, cudaMemcpyDeviceToDevice, second), "copy");
    ncclGroupStart();
    ncclAllReduce(a.data(), a.data(), 1, ncclInt32, ncclSum, communicator, first);
    ncclAllReduce(b.data(), b.data(), 1, ncclInt32, ncclSum, communicator, second);
    ASSERT_EQ(ncclGroupEnd(), ncclSuccess);
    second.Synchronize();  // and so the first's is done too
    EXPECT_EQ(a.Read()[0], 10);
    EXPECT_EQ(b.Read()[0], 100);
    ncclCommDestroy(communicator);
  }));
}

TEST(NcclGroups, OfSeveralCommunicatorsRunSideBySide) {
  ExpectAllPassed(RunRanks(2, [](Rank& rank) {
    const ncclComm_t one = rank.Communicator(), two = rank.Communicator();
    const Stream first, second;
    const DeviceArray<std::int32_t> a(Values(1, 1)), b(Values(1, 2));
    for (int i = 0; i < 20; ++i) {
      const bool swapped = rank.rank() == 1;  // each rank names them in another order
      ncclGroupStart();
      if (swapped) ncclAllReduce(b.data(), b.data(), 1, ncclInt32, ncclMax, two, second);
      ncclAllReduce(a.data(), a.data(), 1, ncclInt32, ncclMax, one, first);
      if (!swapped) ncclAllReduce(b.data(), b.data(), 1, ncclInt32, ncclMax, two, second);
      ASSERT_EQ(ncclGroupEnd(), ncclSuccess);
    }
    first.Synchronize();
    second.Synchronize();
    EXPECT_EQ(a.Read()[0], 1);
    EXPECT_EQ(b.Read()[0], 2);
    ncclCommDestroy(two);
    ncclCommDestroy(one);
  }));
}

TEST(NcclGroups, WithARefusedCallStartNothing) {
  ExpectAllPassed(RunRanks(1, [](Rank& rank) {
    const ncclComm_t communicator = rank.Communicator();
    const Stream stream;
    const DeviceArray<std::int32_t> in(Values(4, 3)), out(Values(4, 9));
    ncclGroupStart();
    EXPECT_EQ(ncclAllReduce(in.data(), out.data(), 4, ncclInt32, ncclSum, communicator, stream), ncclSuccess);
    EXPECT_EQ(ncclBcast(in.data(), 4, ncclInt32, 5, communicator, stream), ncclInvalidArgument);
    EXPECT_EQ(ncclGroupEnd(), ncclInvalidArgument);
    EXPECT_EQ(ncclGroupEnd(), ncclInvalidUsage);
    stream.Synchronize();
    EXPECT_EQ(out.Read(), Values(4, 9));
    ncclCommDestroy(communicator);
  }));
}

}  // namespace
}  // namespace lockstep::suites::virtual_gpu
