// Every operation of the communicator at any number of ranks, on integers, whose sums are exact: compared to the bit.
//
// One program that mpirun starts; each rank runs every test, in the same order.
#include <gtest/gtest.h>
#include <mpi.h>

#include <cmath>
#include <numeric>
#include <vector>

#include "reference/mpi/world.h"

namespace lockstep::test {
namespace {

using device::CommunicationError;
using device::Communicator;
using device::Edge;
using device::Reduction;
using device::WorkHandle;

std::unique_ptr<Communicator> world;  // made in main: MPI starts once a process

constexpr std::int64_t kSizes[] = {0, 1, 2, 7, 31, 97, 4096, 70001, 300007};

float Value(int rank, std::int64_t i) { return static_cast<float>((i * 7 + rank * 13) % 101 - 50); }

std::vector<float> ValuesOf(int rank, std::int64_t n) {
  std::vector<float> values(n);
  for (std::int64_t i = 0; i < n; ++i) values[i] = Value(rank, i);
  return values;
}

std::vector<float> Sums(int size, std::int64_t n) {
  std::vector<float> sums(n, 0.0f);
  for (int r = 0; r < size; ++r) {
    for (std::int64_t i = 0; i < n; ++i) sums[i] += Value(r, i);
  }
  return sums;
}

// How n is dealt to the ranks: evenly, and all to one but a few.
std::vector<std::vector<std::int64_t>> Deals(int size, std::int64_t n) {
  std::vector<std::int64_t> even(size), uneven(size, 0);
  for (int r = 0; r < size; ++r) even[r] = n * (r + 1) / size - n * r / size;
  uneven[size / 2] = n - std::min<std::int64_t>(n, 3);
  uneven[size - 1] += std::min<std::int64_t>(n, 3);
  return {even, uneven};
}

void CheckAllReduce(Communicator& group) {
  for (const std::int64_t n : kSizes) {
    auto x = ValuesOf(group.Rank(), n);
    group.AllReduce(n, x.data(), Reduction::kSum)->Wait();
    ASSERT_EQ(x, Sums(group.Size(), n)) << n;
    auto y = ValuesOf(group.Rank(), n);
    group.AllReduce(n, y.data(), Reduction::kMax)->Wait();
    for (std::int64_t i = 0; i < n; ++i) {
      float largest = Value(0, i);
      for (int r = 1; r < group.Size(); ++r) largest = std::max(largest, Value(r, i));
      ASSERT_EQ(y[i], largest);
    }
  }
}

TEST(Communicator, AllReduceAddsAndFindsTheLargest) { CheckAllReduce(*world); }

TEST(Communicator, AllReduceAddsInRankOrder) {
  // (1e8 + 1) - 1e8 loses the 1 in fp32: which sum comes out says in which order the values were added.
  for (const std::int64_t n : {1, 100, 70001}) {
    const float mine = std::vector<float>{1e8f, 1.0f, -1e8f, 1.0f, 0.5f}[world->Rank()];
    float want = 1e8f;
    for (int r = 1; r < world->Size(); ++r) want += std::vector<float>{1e8f, 1.0f, -1e8f, 1.0f, 0.5f}[r];
    std::vector<float> x(n, mine);
    world->AllReduce(n, x.data(), Reduction::kSum)->Wait();
    for (const float value : x) ASSERT_EQ(value, want);
  }
}

TEST(Communicator, TheLargestOfNaNIsNaNOnEveryRank) {
  for (int from = 0; from < world->Size(); ++from) {
    std::vector<float> x(40, 1.0f);
    if (world->Rank() == from) x[33] = NAN;
    world->AllReduce(40, x.data(), Reduction::kMax)->Wait();
    EXPECT_TRUE(std::isnan(x[33]));
    EXPECT_EQ(x[32], 1.0f);
  }
}

TEST(Communicator, ReduceScatterGivesEachRankItsPartInPlaceAndOut) {
  for (const std::int64_t n : kSizes) {
    for (const auto& counts : Deals(world->Size(), n)) {
      const std::int64_t mine = counts[world->Rank()];
      const std::int64_t offset = std::accumulate(counts.begin(), counts.begin() + world->Rank(), std::int64_t{0});
      const auto sums = Sums(world->Size(), n);
      const std::vector<float> want(sums.begin() + offset, sums.begin() + offset + mine);
      const auto whole = ValuesOf(world->Rank(), n);
      std::vector<float> part(mine, NAN);
      world->ReduceScatter(counts, whole.data(), part.data())->Wait();
      ASSERT_EQ(part, want) << n;
      ASSERT_EQ(whole, ValuesOf(world->Rank(), n)) << "the input was written to";
      auto in_place = ValuesOf(world->Rank(), n);
      world->ReduceScatter(counts, in_place.data(), in_place.data() + offset)->Wait();
      ASSERT_TRUE(std::equal(want.begin(), want.end(), in_place.begin() + offset)) << n;
    }
  }
}

TEST(Communicator, AllGatherPutsEachPartInItsPlaceInPlaceAndOut) {
  for (const std::int64_t n : kSizes) {
    for (const auto& counts : Deals(world->Size(), n)) {
      const std::int64_t mine = counts[world->Rank()];
      const std::int64_t offset = std::accumulate(counts.begin(), counts.begin() + world->Rank(), std::int64_t{0});
      const auto want = ValuesOf(0, n);
      const std::vector<float> part(want.begin() + offset, want.begin() + offset + mine);
      std::vector<float> whole(n, NAN), in_place(n, NAN);
      world->AllGather(counts, part.data(), whole.data())->Wait();
      ASSERT_EQ(whole, want) << n;
      std::copy(part.begin(), part.end(), in_place.begin() + offset);
      world->AllGather(counts, in_place.data() + offset, in_place.data())->Wait();
      ASSERT_EQ(in_place, want) << n;
    }
  }
}

TEST(Communicator, BroadcastReachesAllFromEveryRoot) {
  for (const std::int64_t n : kSizes) {
    for (int root = 0; root < world->Size(); ++root) {
      auto x = ValuesOf(world->Rank(), n);
      world->Broadcast(n, x.data(), root)->Wait();
      ASSERT_EQ(x, ValuesOf(root, n));
    }
  }
}

TEST(Communicator, CollectivesUnderWayTogetherEndInTheOrderOfCalls) {
  std::vector<std::vector<float>> buffers;
  std::vector<WorkHandle> work;
  for (const std::int64_t n : {300007, 5, 70001, 1}) {
    buffers.push_back(ValuesOf(world->Rank(), n));
    work.push_back(world->AllReduce(n, buffers.back().data(), Reduction::kSum));
  }
  work.back()->Wait();  // the last one's end says that all have ended
  for (const auto& buffer : buffers) EXPECT_EQ(buffer, Sums(world->Size(), static_cast<std::int64_t>(buffer.size())));
  for (const WorkHandle& handle : work) handle->Wait();
  work.front()->Wait();
}

TEST(Communicator, SendsInARingDoNotBlockAndPairInOrder) {
  const int size = world->Size(), next = (world->Rank() + 1) % size, last = (world->Rank() + size - 1) % size;
  for (const std::int64_t n : kSizes) {
    std::vector<std::vector<float>> out, in;
    std::vector<WorkHandle> work;
    for (int m = 0; m < 4; ++m) {
      out.push_back(ValuesOf(world->Rank() + 100 * m, n));
      in.emplace_back(n, NAN);
    }
    for (int m = 0; m < 4; ++m) work.push_back(world->Send(n, out[m].data(), next, Edge{0, 1, m, 0, 1}));
    for (int m = 0; m < 4; ++m) work.push_back(world->Receive(n, in[m].data(), last, Edge{0, 1, m, 0, 1}));
    for (const WorkHandle& handle : work) handle->Wait();
    for (int m = 0; m < 4; ++m) ASSERT_EQ(in[m], ValuesOf(last + 100 * m, n));
  }
}

TEST(Communicator, AReceiveThatWaitsHoldsUpNeitherSendsNorCollectives) {
  const int size = world->Size(), next = (world->Rank() + 1) % size, last = (world->Rank() + size - 1) % size;
  const auto group = world->Split(0, world->Rank());
  std::vector<float> in(9, NAN), x = ValuesOf(world->Rank(), 5), y = x;
  const auto receive = world->Receive(9, in.data(), last, Edge{});
  world->AllReduce(5, x.data(), Reduction::kSum)->Wait();  // on the same communicator
  group->AllReduce(5, y.data(), Reduction::kSum)->Wait();  // and on another
  EXPECT_EQ(x, Sums(size, 5));
  EXPECT_EQ(y, x);
  const auto out = ValuesOf(world->Rank(), 9);
  const auto send = world->Send(9, out.data(), next, Edge{});
  receive->Wait();
  send->Wait();
  EXPECT_EQ(in, ValuesOf(last, 9));
}

TEST(Communicator, HostValuesAreSummedInRankOrderAndGathered) {
  const int size = world->Size(), rank = world->Rank();
  std::vector<double> sum(100), largest(100);
  for (int i = 0; i < 100; ++i) sum[i] = largest[i] = 0.1 * (rank + 1) * (i - 50);
  world->SumOnHost(sum);
  world->MaxOnHost(largest);
  for (int i = 0; i < 100; ++i) {
    double want = 0.1 * 1 * (i - 50);
    for (int r = 1; r < size; ++r) want += 0.1 * (r + 1) * (i - 50);
    EXPECT_EQ(sum[i], want);
    EXPECT_EQ(largest[i], 0.1 * (i < 50 ? 1 : size) * (i - 50));
  }
  world->SumOnHost({});
  const auto mine = [](int r) { return std::string(static_cast<std::size_t>(r) * 300, static_cast<char>('a' + r)); };
  const auto all = world->GatherOnHost(mine(rank));
  ASSERT_EQ(all.size(), static_cast<std::size_t>(size));
  for (int r = 0; r < size; ++r) EXPECT_EQ(all[r], mine(r));
  world->Barrier();
}

TEST(Communicator, SplitsIntoGroupsOrderedByKeyThatSplitAgain) {
  const int size = world->Size(), rank = world->Rank();
  const auto reversed = world->Split(7, -rank);
  EXPECT_EQ(reversed->Rank(), size - 1 - rank);
  const auto parity = world->Split(rank % 2, rank);
  EXPECT_EQ(parity->Size(), (size + 1 - rank % 2) / 2);
  EXPECT_EQ(parity->Rank(), rank / 2);
  CheckAllReduce(*parity);
  const auto halves = parity->Split(parity->Rank() * 2 / parity->Size(), 0);
  const auto others = world->Split(rank * 2 / size, 0);
  CheckAllReduce(*halves);
  CheckAllReduce(*others);
  // On all at once: messages of one group must not be taken for those of another.
  std::vector<std::vector<float>> x;
  std::vector<WorkHandle> work;
  Communicator* const groups[] = {others.get(), halves.get(), parity.get(), reversed.get(), world.get()};
  for (Communicator* group : groups) x.push_back(ValuesOf(group->Rank(), 70001));
  for (int i = 0; i < 5; ++i) work.push_back(groups[i]->AllReduce(70001, x[i].data(), Reduction::kSum));
  for (int i = 4; i >= 0; --i) work[i]->Wait();
  for (int i = 0; i < 5; ++i) EXPECT_EQ(x[i], Sums(groups[i]->Size(), 70001));
}

// Last, and in this order: after a failure there is no more talking to each other.
TEST(CommunicatorFailure, CrossedWiresAreNamed) {
  const int size = world->Size(), next = (world->Rank() + 1) % size, last = (world->Rank() + size - 1) % size;
  std::vector<float> out(4, 1.0f), in(4, NAN);
  const auto send = world->Send(4, out.data(), next, Edge{0, 1, 2, 0, 9});
  const auto receive = world->Receive(4, in.data(), last, Edge{0, 1, 3, 0, 9});
  try {
    receive->Wait();
    FAIL() << "a message of micro-batch 2 was taken for one of micro-batch 3";
  } catch (const CommunicationError& problem) {
    const std::string text = problem.what();
    EXPECT_NE(text.find("link crossed: expected 4 elements of step 9, micro-batch 3"), std::string::npos) << text;
    EXPECT_NE(text.find("got 4 elements of step 9, micro-batch 2"), std::string::npos) << text;
  }
  EXPECT_TRUE(std::isnan(in[0])) << "the wrong message landed";
}

TEST(CommunicatorFailure, ASilentPeerEndsTheCallWithOperationPeerAndTime) {
  if (world->Size() == 1) return;  // nobody to be silent
  std::vector<float> x(10, 1.0f);
  if (world->Rank() == 0) return;  // rank 0 is the silent one
  try {
    world->AllReduce(10, x.data(), Reduction::kSum)->Wait();
    FAIL() << "an all-reduce ended without rank 0";
  } catch (const CommunicationError& problem) {
    const std::string text = problem.what();
    EXPECT_NE(text.find("all-reduce of 10 elements"), std::string::npos) << text;
    EXPECT_NE(text.find("rank 0 of the world"), std::string::npos) << text;
    EXPECT_NE(text.find("deadline of 2 s"), std::string::npos) << text;
  }
}

}  // namespace
}  // namespace lockstep::test

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  lockstep::test::world = lockstep::mpi::MakeWorld(&argc, &argv, std::chrono::seconds(2));
  const int failed = RUN_ALL_TESTS();
  lockstep::test::world.reset();
  // After a failure the communicator leaves MPI as it is, since a peer may be gone. Here all failed on purpose and
  // live.
  int finalized = 0;
  MPI_Finalized(&finalized);
  if (finalized == 0) MPI_Finalize();
  return failed;
}
