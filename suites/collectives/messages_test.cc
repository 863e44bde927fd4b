// Point to point between every pair, and beside everything else that a rank waits for.
#include <cmath>

#include "suites/collectives/scene.h"

namespace lockstep::collectives {
namespace {

using device::Edge;
using device::Reduction;
using device::WorkHandle;

int Next() { return (World().Rank() + 1) % World().Size(); }
int Last() { return (World().Rank() + World().Size() - 1) % World().Size(); }

Edge Numbered(int micro_batch) { return {.source_stage = 0, .target_stage = 1, .micro_batch = micro_batch, .step = 1}; }

TEST(Messages, SendsInARingDoNotBlockAndPairInOrder) {
  if (World().Size() == 1) GTEST_SKIP() << "a rank sends nothing to itself";
  constexpr int kMessages = 4;
  for (const std::int64_t n : kSizes) {
    std::vector<DeviceArray> out, in;
    std::vector<WorkHandle> work;
    for (int m = 0; m < kMessages; ++m) {
      out.emplace_back(ValuesOf(World().Rank() + 100 * m, n));
      in.push_back(DeviceArray::Poisoned(n));
    }
    for (int m = 0; m < kMessages; ++m) work.push_back(World().Send(n, out[m].data(), Next(), Numbered(m)));
    for (int m = 0; m < kMessages; ++m) work.push_back(World().Receive(n, in[m].data(), Last(), Numbered(m)));
    for (const WorkHandle& handle : work) handle->Wait();
    for (int m = 0; m < kMessages; ++m) ASSERT_EQ(in[m].Read(), ValuesOf(Last() + 100 * m, n));
  }
}

TEST(Messages, EveryPairTalksInBothDirectionsAtOnce) {
  constexpr std::int64_t kElements = 4099;
  const int rank = World().Rank(), size = World().Size();
  std::vector<DeviceArray> out, in;
  std::vector<WorkHandle> work;
  std::vector<int> peers;
  // The farthest first on even ranks, the nearest first on odd ones: no two ranks meet their peers in one order.
  for (int distance = 1; distance < size; ++distance) {
    peers.push_back((rank + (rank % 2 == 0 ? size - distance : distance)) % size);
  }
  for (const int peer : peers) {
    in.push_back(DeviceArray::Poisoned(kElements));
    work.push_back(World().Receive(kElements, in.back().data(), peer, Numbered(peer)));
  }
  for (const int peer : peers) {
    out.emplace_back(ValuesOf(rank * 10 + peer, kElements));
    work.push_back(World().Send(kElements, out.back().data(), peer, Numbered(rank)));
  }
  for (const WorkHandle& handle : work) handle->Wait();
  for (std::size_t i = 0; i < peers.size(); ++i) EXPECT_EQ(in[i].Read(), ValuesOf(peers[i] * 10 + rank, kElements));
}

TEST(Messages, AReceiveThatWaitsHoldsUpNeitherSendsNorCollectives) {
  if (World().Size() == 1) GTEST_SKIP() << "a rank sends nothing to itself";
  const int rank = World().Rank(), size = World().Size();
  const auto group = World().Split(0, rank);
  DeviceArray in = DeviceArray::Poisoned(9), x(ValuesOf(rank, 5)), y(ValuesOf(rank, 5)), out(ValuesOf(rank, 9));
  const auto receive = World().Receive(9, in.data(), Last(), Edge{});
  World().AllReduce(5, x.data(), Reduction::kSum)->Wait();  // on the same communicator
  group->AllReduce(5, y.data(), Reduction::kSum)->Wait();   // and on another
  EXPECT_EQ(x.Read(), Sums(size, 5));
  EXPECT_EQ(y.Read(), Sums(size, 5));
  EXPECT_FALSE(receive->Done());
  World().Barrier();  // nobody has sent before all have looked
  const auto send = World().Send(9, out.data(), Next(), Edge{});
  receive->Wait();
  send->Wait();
  EXPECT_TRUE(receive->Done());
  EXPECT_EQ(in.Read(), ValuesOf(Last(), 9));
}

// What an interleaved schedule does: each rank has asked for a message that its peer sends only after it has got one.
TEST(Messages, GoRoundInACircleOfReceivesPostedEarly) {
  if (World().Size() == 1) GTEST_SKIP() << "a rank sends nothing to itself";
  constexpr int kRounds = 3;
  constexpr std::int64_t kElements = 70001;
  const bool first = World().Rank() == 0;
  std::vector<DeviceArray> in;
  std::vector<WorkHandle> received, sent;
  for (int round = 0; round < kRounds; ++round) in.push_back(DeviceArray::Poisoned(kElements));
  for (int round = 0; round < kRounds; ++round) {
    received.push_back(World().Receive(kElements, in[round].data(), Last(), Numbered(round)));
  }
  DeviceArray start(ValuesOf(0, kElements));
  if (first) sent.push_back(World().Send(kElements, start.data(), Next(), Numbered(0)));
  for (int round = 0; round < kRounds; ++round) {
    received[round]->Wait();
    Device().Scale(kElements, 2.0f, in[round].data());
    const int next_round = first ? round + 1 : round;  // the first rank counts the rounds
    if (next_round < kRounds) {
      sent.push_back(World().Send(kElements, in[round].data(), Next(), Numbered(next_round)));
    }
  }
  for (const WorkHandle& handle : sent) handle->Wait();
  std::vector<float> want = ValuesOf(0, kElements);
  const int hops = (kRounds - 1) * World().Size() + (first ? World().Size() : World().Rank());
  for (float& value : want) value = std::ldexp(value, hops);
  EXPECT_EQ(in.back().Read(), want);
}

TEST(Messages, StartAfterEarlierComputeWork) {
  if (World().Size() == 1) GTEST_SKIP() << "a rank sends nothing to itself";
  constexpr std::int64_t kElements = 300007;
  std::vector<float> want = ValuesOf(Last(), kElements);
  for (float& value : want) value *= 64.0f;
  for (int run = 0; run < 5; ++run) {
    DeviceArray out(ValuesOf(World().Rank(), kElements)), in = DeviceArray::Poisoned(kElements);
    for (int i = 0; i < 5; ++i) Device().Scale(kElements, 2.0f, out.data());
    const auto send = World().Send(kElements, out.data(), Next(), Numbered(run));
    Device().Zero(in.data(), static_cast<std::size_t>(kElements) * sizeof(float));  // must not land on what arrives
    const auto receive = World().Receive(kElements, in.data(), Last(), Numbered(run));
    receive->Wait();
    Device().Scale(kElements, 2.0f, in.data());
    ASSERT_EQ(in.Read(), want) << run;
    send->Wait();
  }
}

}  // namespace
}  // namespace lockstep::collectives
