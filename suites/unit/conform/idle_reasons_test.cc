// The reasons that are published as idle time are the categories in which a rank waits for others, and what nobody
// knows to have been work.
#include <gtest/gtest.h>

#include <set>

#include "harness/publish/figures.h"
#include "harness/stalls/attribution.h"

namespace lockstep::conform {
namespace {

TEST(IdleReasons, AreTheIdleCategoriesAndWhatNothingTells) {
  std::set<std::string_view> idle{stalls::NameOf(stalls::Category::kUnattributed), "untraced"};
  for (const stalls::Category category : stalls::AllCategories()) {
    if (stalls::IsIdle(category)) idle.insert(stalls::NameOf(category));
  }
  EXPECT_EQ(std::set<std::string_view>(publish::kIdleReasons.begin(), publish::kIdleReasons.end()), idle);
}

}  // namespace
}  // namespace lockstep::conform
