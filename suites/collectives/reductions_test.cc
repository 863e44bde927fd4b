// All-reduce and reduce-scatter: every size, deal and place, in the order of the compute stream.
#include <algorithm>
#include <cmath>

#include "suites/collectives/scene.h"

namespace lockstep::collectives {
namespace {

using device::Reduction;
using device::WorkHandle;

TEST(AllReduce, AddsEverySize) {
  for (const std::int64_t n : kSizes) {
    DeviceArray x(ValuesOf(World().Rank(), n));
    World().AllReduce(n, x.data(), Reduction::kSum)->Wait();
    ASSERT_EQ(x.Read(), Sums(World().Size(), n)) << n;
  }
}

TEST(AllReduce, FindsTheLargestOfEverySize) {
  for (const std::int64_t n : kSizes) {
    DeviceArray x(ValuesOf(World().Rank(), n));
    World().AllReduce(n, x.data(), Reduction::kMax)->Wait();
    ASSERT_EQ(x.Read(), Largest(World().Size(), n)) << n;
  }
}

TEST(AllReduce, TheLargestOfNaNIsNaNAndInfinitiesAndZerosKeepTheirPlace) {
  const int rank = World().Rank(), size = World().Size();
  for (int from = 0; from < size; ++from) {
    std::vector<float> values(40, -1.0f);
    values[1] = rank == from ? INFINITY : -INFINITY;
    values[2] = rank == from ? -0.5f : -INFINITY;
    values[3] = rank == from ? 0.0f : -1e-45f;  // the largest of negative denormals and 0
    if (rank == from) values[33] = NAN;
    if (rank == from) values[34] = -NAN;
    DeviceArray x(values);
    World().AllReduce(40, x.data(), Reduction::kMax)->Wait();
    const std::vector<float> largest = x.Read();
    EXPECT_TRUE(std::isnan(largest[33]));
    EXPECT_TRUE(std::isnan(largest[34]));
    EXPECT_EQ(largest[0], -1.0f);
    EXPECT_EQ(largest[1], INFINITY);
    EXPECT_EQ(largest[2], -0.5f);
    EXPECT_EQ(largest[3], 0.0f);
    EXPECT_EQ(largest[32], -1.0f);
  }
}

// Sums that depend on the order of additions, as a real gradient's do: which order is the backend's affair, but all
// members and all runs have the same one.
TEST(AllReduce, GivesTheSameBytesToAllMembersAndInEveryRun) {
  for (const std::int64_t n : {1, 100, 70001}) {
    std::vector<float> values(static_cast<std::size_t>(n));
    for (std::size_t i = 0; i < values.size(); ++i) {
      values[i] = std::sin(static_cast<float>(i * 5 + static_cast<std::size_t>(World().Rank())) * 1.7f) * 1e3f;
    }
    std::string first;
    for (int run = 0; run < 3; ++run) {
      DeviceArray x(values);
      World().AllReduce(n, x.data(), Reduction::kSum)->Wait();
      const std::vector<float> sums = x.Read();
      const std::string mine(reinterpret_cast<const char*>(sums.data()), sums.size() * sizeof(float));
      if (run == 0) first = mine;
      ASSERT_EQ(mine, first) << n;
      for (const std::string& theirs : World().GatherOnHost(mine)) ASSERT_EQ(theirs, mine) << n;
    }
  }
}

// (1e8 + 1) - 1e8 loses the 1 in fp32: which sum comes out says in which order the values were added.
TEST(AllReduce, AddsInRankOrderWhereTheHostAdds) {
  if (Device().Info().kind == "gpu") GTEST_SKIP() << "NCCL's order on GPUs is its algorithm's";
  const std::vector<float> values{1e8f, 1.0f, -1e8f, 1.0f, 0.5f, 3.0f, -2.0f, 1e-3f};
  for (const std::int64_t n : {1, 100, 70001}) {
    float want = values[0];
    for (int r = 1; r < World().Size(); ++r) want += values[static_cast<std::size_t>(r)];
    DeviceArray x(std::vector<float>(static_cast<std::size_t>(n), values[static_cast<std::size_t>(World().Rank())]));
    World().AllReduce(n, x.data(), Reduction::kSum)->Wait();
    for (const float sum : x.Read()) ASSERT_EQ(sum, want);
  }
}

TEST(AllReduce, StartsAfterEarlierComputeWorkAndBeforeLater) {
  for (const std::int64_t n : {std::int64_t{7}, std::int64_t{300007}}) {
    std::vector<float> want = Sums(World().Size(), n);
    for (float& value : want) value *= 16.0f;
    for (int run = 0; run < 5; ++run) {
      DeviceArray x(ValuesOf(World().Rank(), n)), y = DeviceArray::Poisoned(n);
      for (int i = 0; i < 3; ++i) Device().Scale(n, 2.0f, x.data());
      const WorkHandle work = World().AllReduce(n, x.data(), Reduction::kSum);
      Device().Zero(y.data(), static_cast<std::size_t>(n) * sizeof(float));  // beside it
      work->Wait();
      Device().Scale(n, 2.0f, x.data());
      Device().Add(n, y.data(), x.data(), y.data());
      ASSERT_EQ(y.Read(), want) << n << ", run " << run;
    }
  }
}

TEST(AllReduce, ManyUnderWayTogetherEndInTheOrderOfCalls) {
  std::vector<DeviceArray> arrays;
  std::vector<WorkHandle> work;
  for (const std::int64_t n : {300007, 5, 70001, 1, 4096, 2}) {
    arrays.emplace_back(ValuesOf(World().Rank(), n));
    work.push_back(World().AllReduce(n, arrays.back().data(), Reduction::kSum));
  }
  work.back()->Wait();  // the last one's end says that all have ended
  for (const DeviceArray& array : arrays) EXPECT_EQ(array.Read(), Sums(World().Size(), array.size()));
  for (const WorkHandle& handle : work) handle->Wait();
  work.front()->Wait();  // again
}

TEST(ReduceScatter, GivesEachRankItsPartOfEverySizeAndDeal) {
  const int rank = World().Rank();
  for (const std::int64_t n : kSizes) {
    for (const auto& counts : Deals(World().Size(), n)) {
      const std::int64_t total = Offset(counts, World().Size()), mine = counts[static_cast<std::size_t>(rank)];
      const auto sums = Sums(World().Size(), total);
      const auto begin = sums.begin() + Offset(counts, rank);
      const std::vector<float> want(begin, begin + mine);
      DeviceArray whole(ValuesOf(rank, total)), part = DeviceArray::Poisoned(mine);
      World().ReduceScatter(counts, whole.data(), part.data())->Wait();
      ASSERT_EQ(part.Read(), want) << total;
      ASSERT_EQ(whole.Read(), ValuesOf(rank, total)) << "the input was written to";
    }
  }
}

TEST(ReduceScatter, ThePartMayLieAtItsPlaceInTheWhole) {
  const int rank = World().Rank();
  for (const std::int64_t n : kSizes) {
    for (const auto& counts : Deals(World().Size(), n)) {
      const std::int64_t total = Offset(counts, World().Size()), mine = counts[static_cast<std::size_t>(rank)];
      const std::int64_t offset = Offset(counts, rank);
      const auto sums = Sums(World().Size(), total);
      DeviceArray whole(ValuesOf(rank, total));
      World().ReduceScatter(counts, whole.data(), whole.data() + offset)->Wait();
      const auto got = whole.Read();
      ASSERT_TRUE(std::equal(got.begin() + offset, got.begin() + offset + mine, sums.begin() + offset)) << total;
    }
  }
}

}  // namespace
}  // namespace lockstep::collectives
