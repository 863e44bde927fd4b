// When a run that stands still is worth an alarm. The tests tell the watcher what time it is: none waits.
#include "harness/launch/stuck/watcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <fstream>

#include "harness/protocol/cursor.h"
#include "harness/protocol/evidence.h"

namespace lockstep::launch::stuck {
namespace {

using protocol::Cursor;
using protocol::CursorState;
using protocol::StuckKind;
using ::testing::HasSubstr;

// Two ranks, each of which waits for a message of the other; looked at every 50 ms of a clock of the test's own.
class Watching : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = std::filesystem::temp_directory_path() / "watcher-test-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    for (Cursor& cursor : cursors_) {
      cursor.state = CursorState::kReceiving;
      cursor.step = 3;
      cursor.peer = 1 - (&cursor - cursors_.data());
    }
    watcher_ = std::make_unique<Watcher>(folder_);
    for (Seen& rank : ranks_) rank.here = true;
    Write();
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path Folder(std::int64_t rank) const { return protocol::RankFolder(folder_, rank); }
  void Write() const {
    for (std::size_t rank = 0; rank < cursors_.size(); ++rank) {
      const auto folder = Folder(static_cast<std::int64_t>(rank));
      std::filesystem::create_directories(folder);
      std::ofstream(folder / protocol::kCursorFile, std::ios::binary)
          .write(reinterpret_cast<const char*>(&cursors_[rank]), sizeof(Cursor));
    }
  }
  void Move() {
    ++cursors_[0].done;
    Write();
  }
  bool Look(double after = 0.05) {
    now_ += std::chrono::duration_cast<std::chrono::steady_clock::duration>(std::chrono::duration<double>(after));
    return watcher_->Look(ranks_, now_);
  }
  // Looks for so many seconds; true: it was called stuck.
  bool StuckWithin(double seconds) {
    for (int i = 0; i < static_cast<int>(seconds / 0.05) && !watcher_->stuck(); ++i) Look();
    return watcher_->stuck().has_value();
  }

  std::filesystem::path folder_;
  std::array<Cursor, 2> cursors_;
  std::vector<Seen> ranks_{2};
  std::unique_ptr<Watcher> watcher_;
  std::chrono::steady_clock::time_point now_ = std::chrono::steady_clock::now();
};

TEST_F(Watching, ExplainsARunInWhichNothingHasMovedWithinTwoSeconds) {
  Look();
  EXPECT_FALSE(StuckWithin(1.4));
  ASSERT_TRUE(StuckWithin(0.4));
  EXPECT_EQ(watcher_->stuck()->kind, StuckKind::kDeadlock);
  EXPECT_GE(watcher_->stuck()->seconds, 1.5);
  EXPECT_LT(watcher_->stuck()->seconds, 1.8);
}

TEST_F(Watching, LeavesARunAloneThatMovesNowAndThen) {
  for (int i = 0; i < 10; ++i) {
    Move();
    EXPECT_TRUE(Look());
    EXPECT_FALSE(StuckWithin(1.4));
  }
}

TEST_F(Watching, CountsALookThatComesLateForLittle) {
  Look();
  for (int i = 0; i < 7; ++i) Look(60);  // the machine slept
  EXPECT_FALSE(watcher_->stuck().has_value());
}

TEST_F(Watching, NamesItWithinThreeMedianSteps) {
  std::ofstream(Folder(0) / "events.jsonl") << "{\"event\": \"step\", \"step\": 1, \"wall_seconds\": 9}\n"
                                            << "{\"event\": \"step\", \"step\": 2, \"wall_seconds\": 1.5}\n"
                                            << "{\"event\": \"micro_batch\", \"step\": 3}\n"
                                            << "{\"event\": \"step\", \"step\": 3, \"wall_seconds\": 1.4}\n"
                                            << "{\"event\": \"st";  // still being written
  EXPECT_DOUBLE_EQ(MedianStep(Folder(0) / "events.jsonl"), 1.5);
  Look();
  EXPECT_FALSE(StuckWithin(3.3));
  EXPECT_TRUE(StuckWithin(0.3));
}

TEST_F(Watching, CallsARankThatWorksSlowOnceAndLetsTheRunGoOn) {
  cursors_[0].state = CursorState::kComputing;
  Write();
  Look();
  EXPECT_FALSE(StuckWithin(20));
  ASSERT_EQ(watcher_->slow().size(), 1u);
  EXPECT_EQ(watcher_->slow()[0].rank, 0);
  EXPECT_GT(watcher_->slow()[0].seconds, 19) << "as long as it took, not when it was first seen";
  EXPECT_TRUE(watcher_->slow_now());
  Move();
  Look();
  EXPECT_FALSE(watcher_->slow_now());
  EXPECT_EQ(watcher_->slow().size(), 1u);
}

TEST_F(Watching, DoesNotCallARankSlowThatKeepsNobodyWaiting) {
  for (Cursor& cursor : cursors_) cursor.state = CursorState::kComputing;
  Write();
  Look();
  EXPECT_FALSE(StuckWithin(20));
  EXPECT_TRUE(watcher_->slow().empty());
}

TEST_F(Watching, NamesARankThatDied) {
  ranks_[1].dead = true;
  ranks_[1].death = "was killed by signal 9 (Killed)";
  Look();
  ASSERT_TRUE(StuckWithin(2));
  EXPECT_EQ(watcher_->stuck()->kind, StuckKind::kPeerDead);
  EXPECT_EQ(watcher_->stuck()->rank, 1);
  EXPECT_THAT(watcher_->stuck()->words, HasSubstr("rank 0 waits for it"));
}

TEST_F(Watching, SaysHowLongNothingMovedBeforeARankGaveUp) {
  Look();
  EXPECT_FALSE(StuckWithin(1));
  cursors_[0].state = CursorState::kGaveUp;
  cursors_[0].since = 1'000'000'000;
  Write();
  EXPECT_FALSE(Look()) << "that is no progress";
  ranks_[0].error = "recv: link missing: expected 4 elements of step 3";
  const auto found = watcher_->Explain(ranks_, 0);
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->kind, StuckKind::kLinkMissing);
  EXPECT_NEAR(found->seconds, 1.05, 0.06);
}

TEST_F(Watching, GivesARankThatGaveUpTimeToSayWhy) {
  cursors_[0].state = CursorState::kComputing;
  Write();
  Look();
  EXPECT_FALSE(StuckWithin(10));
  cursors_[0].state = CursorState::kGaveUp;  // out of memory, say
  Write();
  EXPECT_FALSE(StuckWithin(1.4));
  EXPECT_TRUE(StuckWithin(0.4)) << "its launcher ends nobody";
}

TEST_F(Watching, LeavesRanksOnOtherHostsToTheDeadlines) {
  ranks_[1].here = false;
  EXPECT_FALSE(Look());
  EXPECT_FALSE(StuckWithin(20));
}

TEST_F(Watching, LeavesTrainersWithoutCursorsToTheDeadlines) {
  std::filesystem::remove(Folder(1) / protocol::kCursorFile);
  EXPECT_FALSE(Look());
  EXPECT_FALSE(StuckWithin(20));
}

}  // namespace
}  // namespace lockstep::launch::stuck
