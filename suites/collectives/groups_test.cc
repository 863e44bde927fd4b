// Groups of groups, and values on the host.
#include <algorithm>
#include <string>

#include "suites/collectives/scene.h"

namespace lockstep::collectives {
namespace {

using device::Communicator;
using device::Reduction;
using device::WorkHandle;

void CheckSums(Communicator& group) {
  for (const std::int64_t n : {1, 97, 70001}) {
    DeviceArray x(ValuesOf(group.Rank(), n));
    group.AllReduce(n, x.data(), Reduction::kSum)->Wait();
    ASSERT_EQ(x.Read(), Sums(group.Size(), n)) << n;
  }
}

TEST(Split, MakesGroupsOrderedByKeyThatSplitAgain) {
  const int size = World().Size(), rank = World().Rank();
  const auto reversed = World().Split(7, -rank);
  EXPECT_EQ(reversed->Rank(), size - 1 - rank);
  EXPECT_EQ(reversed->Size(), size);
  const auto parity = World().Split(rank % 2, rank);
  EXPECT_EQ(parity->Size(), (size + 1 - rank % 2) / 2);
  EXPECT_EQ(parity->Rank(), rank / 2);
  CheckSums(*parity);
  const auto halves = parity->Split(parity->Rank() * 2 / parity->Size(), 0);
  const auto others = World().Split(rank * 2 / size, 0);
  CheckSums(*halves);
  CheckSums(*others);
  const auto alone = World().Split(rank, 0);
  EXPECT_EQ(alone->Size(), 1);
  CheckSums(*alone);
}

TEST(Split, WorkOfOneGroupIsNeverTakenForThatOfAnother) {
  const int size = World().Size(), rank = World().Rank();
  const auto reversed = World().Split(0, -rank), parity = World().Split(rank % 2, rank);
  const auto halves = World().Split(rank * 2 / size, rank), same = World().Split(0, rank);
  Communicator* const groups[] = {halves.get(), parity.get(), reversed.get(), same.get(), &World()};
  std::vector<DeviceArray> x;
  std::vector<WorkHandle> work;
  for (Communicator* group : groups) x.emplace_back(ValuesOf(group->Rank(), 70001));
  for (int i = 0; i < 5; ++i) work.push_back(groups[i]->AllReduce(70001, x[i].data(), Reduction::kSum));
  for (int i = 4; i >= 0; --i) work[i]->Wait();
  for (int i = 0; i < 5; ++i) EXPECT_EQ(x[i].Read(), Sums(groups[i]->Size(), 70001));
}

// Ranks that use two groups for the first time in different orders meet in both.
TEST(Split, GroupsAreIndependent) {
  const int rank = World().Rank();
  const auto one = World().Split(0, rank), two = World().Split(0, rank);
  Communicator &first = rank % 2 == 0 ? *one : *two, &second = rank % 2 == 0 ? *two : *one;
  DeviceArray x(ValuesOf(rank, 4096)), y(ValuesOf(rank, 4096));
  const auto a = first.AllReduce(4096, x.data(), Reduction::kSum);
  const auto b = second.AllReduce(4096, y.data(), Reduction::kSum);
  a->Wait();
  b->Wait();
  EXPECT_EQ(x.Read(), Sums(World().Size(), 4096));
  EXPECT_EQ(y.Read(), Sums(World().Size(), 4096));
}

TEST(HostValues, AreSummedInRankOrderAndTheLargestFound) {
  const int size = World().Size(), rank = World().Rank();
  std::vector<double> sum(100), largest(100);
  for (int i = 0; i < 100; ++i) sum[i] = largest[i] = 0.1 * (rank + 1) * (i - 50);
  World().SumOnHost(sum);
  World().MaxOnHost(largest);
  for (int i = 0; i < 100; ++i) {
    double want = 0.1 * 1 * (i - 50);
    for (int r = 1; r < size; ++r) want += 0.1 * (r + 1) * (i - 50);
    EXPECT_EQ(sum[i], want);
    EXPECT_EQ(largest[i], 0.1 * (i < 50 ? 1 : size) * (i - 50));
  }
  World().SumOnHost({});
}

TEST(HostValues, AreGatheredWhateverTheirLength) {
  const auto of = [](int r) { return std::string(static_cast<std::size_t>(r) * 300, static_cast<char>('a' + r)); };
  const auto all = World().GatherOnHost(of(World().Rank()));
  ASSERT_EQ(all.size(), static_cast<std::size_t>(World().Size()));
  for (int r = 0; r < World().Size(); ++r) EXPECT_EQ(all[static_cast<std::size_t>(r)], of(r));
  World().Barrier();
}

}  // namespace
}  // namespace lockstep::collectives
