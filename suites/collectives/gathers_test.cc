// All-gather and broadcast: every size, deal, root and place.
#include <algorithm>

#include "suites/collectives/scene.h"

namespace lockstep::collectives {
namespace {

TEST(AllGather, PutsEachPartInItsPlaceForEverySizeAndDeal) {
  const int rank = World().Rank();
  for (const std::int64_t n : kSizes) {
    for (const auto& counts : Deals(World().Size(), n)) {
      const auto want = ValuesOf(0, Offset(counts, World().Size()));
      const auto begin = want.begin() + Offset(counts, rank);
      const std::vector<float> mine(begin, begin + counts[static_cast<std::size_t>(rank)]);
      DeviceArray part(mine), whole = DeviceArray::Poisoned(static_cast<std::int64_t>(want.size()));
      World().AllGather(counts, part.data(), whole.data())->Wait();
      ASSERT_EQ(whole.Read(), want) << want.size();
      ASSERT_EQ(part.Read(), mine) << "the input was written to";
    }
  }
}

TEST(AllGather, ThePartMayLieAtItsPlaceInTheWhole) {
  const int rank = World().Rank();
  for (const std::int64_t n : kSizes) {
    for (const auto& counts : Deals(World().Size(), n)) {
      const auto want = ValuesOf(0, Offset(counts, World().Size()));
      const std::int64_t offset = Offset(counts, rank), mine = counts[static_cast<std::size_t>(rank)];
      std::vector<float> start(want.size(), -1e9f);
      std::copy_n(want.begin() + offset, mine, start.begin() + offset);
      DeviceArray whole(start);
      World().AllGather(counts, whole.data() + offset, whole.data())->Wait();
      ASSERT_EQ(whole.Read(), want) << want.size();
    }
  }
}

TEST(Broadcast, ReachesAllFromEveryRoot) {
  for (const std::int64_t n : kSizes) {
    for (int root = 0; root < World().Size(); ++root) {
      DeviceArray x(ValuesOf(World().Rank(), n));
      World().Broadcast(n, x.data(), root)->Wait();
      ASSERT_EQ(x.Read(), ValuesOf(root, n)) << n << " from " << root;
    }
  }
}

}  // namespace
}  // namespace lockstep::collectives
