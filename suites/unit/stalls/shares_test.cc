// Reasons of a step's waits laid into the waits.
#include "harness/stalls/shares.h"

#include <gtest/gtest.h>

#include <random>

#include "harness/stalls/covers.h"

namespace lockstep::stalls {
namespace {

constexpr auto kBubble = static_cast<std::size_t>(Category::kBubble);
constexpr auto kImbalance = static_cast<std::size_t>(Category::kImbalance);
constexpr auto kStraggler = static_cast<std::size_t>(Category::kStraggler);

WaitReasons Wait(double bubble, double imbalance, double straggler) {
  WaitReasons wait;
  wait.reasons[kBubble] = bubble;
  wait.reasons[kImbalance] = imbalance;
  wait.reasons[kStraggler] = straggler;
  wait.waited = bubble + imbalance + straggler;
  return wait;
}

TEST(Shares, LeaveReasonsAloneThatSumToWhatWasWaited) {
  const std::vector<Seconds> shares = Share({Wait(3, 0, 0), Wait(1, 2, 0.5)});
  EXPECT_NEAR(shares[0][kBubble], 3, 1e-12);
  EXPECT_NEAR(shares[1][kBubble], 1, 1e-12);
  EXPECT_NEAR(shares[1][kImbalance], 2, 1e-12);
  EXPECT_NEAR(shares[1][kStraggler], 0.5, 1e-12);
}

TEST(Shares, TakeWhatALateRankGainsFromItsBubbleFirst) {
  const std::vector<Seconds> shares = Share({Wait(3, 1, 0), Wait(3, 0, -2)});
  EXPECT_NEAR(shares[0][kBubble] + shares[1][kBubble], 4, 1e-12);
  EXPECT_NEAR(shares[0][kImbalance] + shares[1][kImbalance], 1, 1e-12);
  EXPECT_EQ(shares[0][kStraggler] + shares[1][kStraggler], 0);
}

TEST(Shares, TakeMoreThanTheBubbleFromTheOthers) {
  const std::vector<Seconds> shares = Share({Wait(1, 4, -3)});
  EXPECT_NEAR(shares[0][kBubble], 0, 1e-12);
  EXPECT_NEAR(shares[0][kImbalance], 2, 1e-12);
}

TEST(Shares, AreNeverNegativeAndSumToEachWaitWhateverTheReasons) {
  std::mt19937 random(3);
  std::uniform_real_distribution<double> any(-1, 1);
  for (int round = 0; round < 500; ++round) {
    std::vector<WaitReasons> waits;
    for (int i = 0; i < 8; ++i) {
      WaitReasons wait = Wait(std::abs(any(random)), any(random), any(random));
      if (wait.waited < 0) wait = Wait(0, 0, 0);
      waits.push_back(wait);
    }
    const std::vector<Seconds> shares = Share(waits);
    for (std::size_t i = 0; i < waits.size(); ++i) {
      double sum = 0;
      for (const double seconds : shares[i]) {
        EXPECT_GE(seconds, 0);
        sum += seconds;
      }
      EXPECT_NEAR(sum, waits[i].waited, 1e-9);
    }
  }
}

TEST(Sweep, PutsACollectivesWaitBeforeAnOperationAndThatBeforeAMessagesWait) {
  const std::vector<Cover> covers{{{0, 4}, Layer::kOp, 1},
                                  {{1, 2}, Layer::kCollectiveWait, 2},
                                  {{3, 6}, Layer::kMessageWait, 3},
                                  {{0, 8}, Layer::kSpan, 4}};
  std::vector<std::pair<double, int>> found;
  for (const Stretch& stretch : Sweep(covers, {-1, 9}, {5})) found.emplace_back(stretch.time.began, stretch.item);
  const std::vector<std::pair<double, int>> expected{{-1, -1}, {0, 1}, {1, 2}, {2, 1}, {4, 3}, {5, 3}, {6, 4}, {8, -1}};
  EXPECT_EQ(found, expected);
}

// A wait that outlasts what it is in by a microsecond, for two clocks were read, is one wait.
TEST(Sweep, DoesNotCutAWaitWhereWhatItCoversEnds) {
  const std::vector<Cover> covers{{{0, 4}, Layer::kSpan, 1}, {{1, 5}, Layer::kCollectiveWait, 2}};
  std::vector<std::pair<double, int>> found;
  for (const Stretch& stretch : Sweep(covers, {0, 6}, {})) found.emplace_back(stretch.time.began, stretch.item);
  const std::vector<std::pair<double, int>> expected{{0, 1}, {1, 2}, {5, -1}};
  EXPECT_EQ(found, expected);
}

}  // namespace
}  // namespace lockstep::stalls
