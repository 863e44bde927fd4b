// The graph of waits on scenes written down by hand: which cause is named, with which ranks.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>

#include "harness/launch/stuck/diagnose.h"
#include "harness/launch/stuck/stacks.h"
#include "harness/launch/stuck/words.h"

namespace lockstep::launch::stuck {
namespace {

using protocol::Cursor;
using protocol::CursorState;
using protocol::Stuck;
using protocol::StuckKind;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Pipelines of GPipe over four micro-batches: every rank's line is "rF0,rF1,rF2,rF3,rB0,rB1,rB2,rB3".
Scene GPipe(std::int64_t pipeline, std::int64_t data = 1) {
  Scene scene;
  scene.plan.pipeline = pipeline;
  scene.plan.data = data;
  scene.plan.micro_batches = 4;
  for (std::int64_t rank = 0; rank < pipeline * data; ++rank) {
    RankView view;
    view.pid = 1000 + rank;
    const std::int64_t stage = scene.plan.At(rank).pipeline;
    for (const auto kind : {protocol::ActionKind::kForward, protocol::ActionKind::kBackward}) {
      for (std::int64_t m = 0; m < 4; ++m) view.line.push_back({stage, kind, m});
    }
    view.cursor.step = 3;
    view.cursor.done = 16;
    scene.ranks.push_back(view);
  }
  return scene;
}

RankView& Of(Scene& scene, std::int64_t rank) { return scene.ranks[static_cast<std::size_t>(rank)]; }

// The rank stands at a position of its line.
Cursor& Stand(Scene& scene, std::int64_t rank, std::int64_t position, CursorState state = CursorState::kComputing) {
  RankView& view = Of(scene, rank);
  const protocol::Action& action = view.line.at(static_cast<std::size_t>(position));
  view.cursor.position = position;
  view.cursor.stage = action.stage;
  view.cursor.micro_batch = action.micro_batch;
  view.cursor.kind = action.kind == protocol::ActionKind::kForward ? 'F' : 'B';
  view.cursor.done = 16 + position;
  view.cursor.state = state;
  return view.cursor;
}

// ... and waits for what its action there needs, from `peer`.
Cursor& Receive(Scene& scene, std::int64_t rank, std::int64_t position, std::int64_t peer) {
  Cursor& cursor = Stand(scene, rank, position, CursorState::kReceiving);
  cursor.peer = peer;
  cursor.backward = cursor.kind == 'B' ? 1 : 0;
  cursor.target_stage = static_cast<std::int32_t>(cursor.stage);
  cursor.source_stage = cursor.target_stage + (cursor.backward == 1 ? 1 : -1);
  cursor.message_micro_batch = static_cast<std::int32_t>(cursor.micro_batch);
  return cursor;
}

Cursor& Join(Scene& scene, std::int64_t rank, const char* group, std::vector<std::int64_t> members, std::int64_t number,
             std::uint32_t operation = 1) {
  RankView& view = Of(scene, rank);
  view.groups[group] = std::move(members);
  view.cursor.state = CursorState::kCollective;
  std::memcpy(view.cursor.group.data(), group, std::strlen(group));
  view.cursor.number = number;
  view.cursor.operation = operation;
  return view.cursor;
}

Stuck Found(const Scene& scene) {
  const auto found = Diagnose(scene);
  EXPECT_TRUE(found.has_value()) << "nothing was found";
  return found.value_or(Stuck());
}

TEST(Waits, NameASendThatWasNeverMade) {
  Scene scene = GPipe(3);
  Receive(scene, 0, 4, 1);  // 0B0: stage 1's gradient of micro-batch 0
  Receive(scene, 1, 2, 0);  // 1F2, which rank 0 has passed
  Receive(scene, 2, 2, 1);
  const Stuck stuck = Found(scene);
  EXPECT_EQ(stuck.kind, StuckKind::kLinkMissing);
  EXPECT_EQ(stuck.rank, 1);
  EXPECT_EQ(stuck.peer, 0);
  EXPECT_EQ(stuck.step, 3);
  EXPECT_EQ(stuck.position, 2);
  EXPECT_EQ(stuck.stage, 1);
  EXPECT_EQ(stuck.micro_batch, 2);
  EXPECT_EQ(stuck.words,
            "rank 1 (pid 1001), in step 3 at 1F2 (position 2 of its line), waits to receive micro-batch 2 forward, "
            "stage 0 to 1, from rank 0: link missing: rank 0 (pid 1000) has done 0F2 (position 2 of its line) and has "
            "not sent it here; it stands in step 3 at 0B0 (position 4 of its line), waiting to receive micro-batch 0 "
            "backward, stage 1 to 0, from rank 1");
}

TEST(Waits, CountActionsWhereTheSenderStandsBetweenTwo) {
  Scene scene = GPipe(2);
  Receive(scene, 1, 2, 0);
  Of(scene, 0).cursor.done = 16 + 2;  // it comes to 0F2 next
  Of(scene, 0).cursor.state = CursorState::kCollective;
  EXPECT_FALSE(Diagnose(scene).has_value());
  Of(scene, 0).cursor.done = 16 + 3;
  EXPECT_EQ(Found(scene).kind, StuckKind::kLinkMissing);
}

TEST(Waits, NameASendThatWasNeverMadeByASenderThatIsAStepAhead) {
  Scene scene = GPipe(2);
  Of(scene, 0).cursor.step = 4;
  Join(scene, 0, "world", {0, 1}, 9);
  Receive(scene, 1, 3, 0);
  const Stuck stuck = Found(scene);
  EXPECT_EQ(stuck.kind, StuckKind::kLinkMissing);
  EXPECT_EQ(stuck.rank, 1);
}

TEST(Waits, NameAReceiveThatWasNeverMade) {
  Scene scene = GPipe(2);
  Cursor& sender = Of(scene, 0).cursor;  // at the end of its line: its sends must leave
  sender.state = CursorState::kSending;
  sender.peer = 1;
  sender.source_stage = 0;
  sender.target_stage = 1;
  sender.message_micro_batch = 3;
  sender.backward = 0;
  Join(scene, 1, "pipeline", {0, 1}, 4);
  Of(scene, 1).cursor.done = 16 + 8;
  const Stuck stuck = Found(scene);
  EXPECT_EQ(stuck.kind, StuckKind::kLinkMissing);
  EXPECT_EQ(stuck.rank, 0);
  EXPECT_EQ(stuck.peer, 1);
  EXPECT_THAT(stuck.words, HasSubstr("rank 1 (pid 1001) has done 1F3 (position 3 of its line) and has not taken it"));
}

TEST(Waits, NameTheRankAtWhichACrossedMessageLies) {
  Scene scene = GPipe(4);
  Receive(scene, 0, 4, 1);
  Receive(scene, 1, 2, 0);
  Receive(scene, 2, 2, 1);
  Join(scene, 3, "world", {0, 1, 2, 3}, 7).stray = 1 + 0;  // whatever that rank waits for
  const Stuck stuck = Found(scene);
  EXPECT_EQ(stuck.kind, StuckKind::kLinkCrossed);
  EXPECT_EQ(stuck.rank, 1);
  EXPECT_EQ(stuck.peer, 0);
  EXPECT_EQ(stuck.actual, 3);
  EXPECT_THAT(stuck.words, HasSubstr("link crossed: rank 0 (pid 1000) has done 0F2 (position 2 of its line), and a "
                                     "message of it lies at rank 3 (pid 1003)"));
}

TEST(Waits, DoNotTakeAMessageOfALinkForAStray) {
  Scene scene = GPipe(3);
  Receive(scene, 0, 4, 1);
  Receive(scene, 1, 2, 0);
  Receive(scene, 2, 2, 1).stray = 1 + 1;  // rank 1 sends to it all the time
  EXPECT_EQ(Found(scene).kind, StuckKind::kLinkMissing);
}

TEST(Waits, NameAReceiveThatAsksTheWrongRank) {
  Scene scene = GPipe(3);
  Receive(scene, 0, 4, 1);
  Receive(scene, 1, 2, 2);  // stage 0 stands on rank 0
  Receive(scene, 2, 2, 1);
  const Stuck stuck = Found(scene);
  EXPECT_EQ(stuck.kind, StuckKind::kLinkCrossed);
  EXPECT_EQ(stuck.rank, 1);
  EXPECT_EQ(stuck.peer, 0);
  EXPECT_EQ(stuck.actual, 2);
}

TEST(Waits, NameACycleOfTwoRanksAsTheSchedulesDeadlock) {
  Scene scene = GPipe(2);
  std::swap(Of(scene, 0).line[3], Of(scene, 0).line[4]);  // 0B0 before 0F3
  Receive(scene, 0, 3, 1);
  Receive(scene, 1, 3, 0);
  const Stuck stuck = Found(scene);
  EXPECT_EQ(stuck.kind, StuckKind::kDeadlock);
  EXPECT_THAT(stuck.cycle, ElementsAre(0, 1));
  EXPECT_THAT(stuck.words, AllOf(HasSubstr("in step 3 at 0B0 (position 3 of its line), waits to receive micro-batch 0 "
                                           "backward, stage 1 to 0, from rank 1, the result of 1B0 (position 4 of its "
                                           "line), to which rank 1 has not come"),
                                 HasSubstr("the result of 0F3 (position 4 of its line)")));
}

TEST(Waits, NameACycleOfFourRanks) {
  Scene scene = GPipe(4);
  std::swap(Of(scene, 0).line[3], Of(scene, 0).line[4]);
  Receive(scene, 0, 3, 1);  // 0B0 from rank 1, which has to do 1F3 before
  for (std::int64_t rank = 1; rank < 4; ++rank) Receive(scene, rank, 3, rank - 1);
  Of(scene, 0).cursor.peer = 3;                          // a ring: the gradient comes from the last
  for (RankView& view : scene.ranks) view.line.clear();  // a trainer that doesn't say what it does
  const Stuck stuck = Found(scene);
  EXPECT_EQ(stuck.kind, StuckKind::kDeadlock);
  EXPECT_THAT(stuck.cycle, ElementsAre(0, 3, 2, 1));
}

TEST(Waits, NameADeadRankAndWhoWaitsForIt) {
  Scene scene = GPipe(3);
  Receive(scene, 0, 4, 1);
  Stand(scene, 1, 1);
  Of(scene, 1).life = Life::kDead;
  Of(scene, 1).death = "exited with 3";
  Receive(scene, 2, 1, 1);
  const Stuck stuck = Found(scene);
  EXPECT_EQ(stuck.kind, StuckKind::kPeerDead);
  EXPECT_EQ(stuck.rank, 1);
  EXPECT_EQ(stuck.peer, 0);
  EXPECT_EQ(stuck.words,
            "rank 1 (pid 1001) exited with 3: it stood in step 3 at 1F1 (position 1 of its line), "
            "computing; ranks 0 and 2 wait for it");
}

TEST(Waits, NameAStoppedRankThoughOthersSeemToMissASend) {
  Scene scene = GPipe(2);
  Receive(scene, 0, 4, 1);
  Stand(scene, 1, 2);
  Of(scene, 1).life = Life::kStopped;
  const Stuck stuck = Found(scene);
  EXPECT_EQ(stuck.kind, StuckKind::kPeerStopped);
  EXPECT_EQ(stuck.rank, 1);
  EXPECT_THAT(stuck.words, HasSubstr("is stopped (state T): it stood in step 3 at 1F2"));
}

TEST(Waits, CallARankThatWorksSlowAndNotStuck) {
  Scene scene = GPipe(3);
  Receive(scene, 0, 4, 1);
  Stand(scene, 1, 2).since = 1'000'000'000;
  scene.now = 4'500'000'000;
  Receive(scene, 2, 2, 1);
  const Stuck stuck = Found(scene);
  EXPECT_EQ(stuck.kind, StuckKind::kPeerSlow);
  EXPECT_EQ(stuck.rank, 1);
  EXPECT_EQ(stuck.peer, 0);
  EXPECT_EQ(stuck.words,
            "rank 1 (pid 1001) is slow, not stuck: it is in step 3 at 1F2 (position 2 of its line), "
            "computing for 3.5 s, and ranks 0 and 2 wait");
}

TEST(Waits, NameTheMemberOfACollectiveThatWaitsElsewhereInACycle) {
  Scene scene = GPipe(1, 3);
  Join(scene, 0, "data", {0, 1, 2}, 5);
  Join(scene, 1, "world", {0, 1, 2}, 8);
  Join(scene, 2, "data", {0, 1, 2}, 5);
  const Stuck stuck = Found(scene);
  EXPECT_EQ(stuck.kind, StuckKind::kOutOfOrder);
  EXPECT_THAT(stuck.cycle, ElementsAre(0, 1));
  EXPECT_EQ(stuck.group, "data");
  EXPECT_EQ(stuck.number, 5);
  EXPECT_THAT(stuck.words, AllOf(HasSubstr("waits in collective 5 of group data (all_reduce), to which rank 1 has not "
                                           "come"),
                                 HasSubstr("waits in collective 8 of group world (all_reduce)")));
}

TEST(Waits, NameAMemberThatPassesACollectiveBy) {
  Scene scene = GPipe(1, 2);
  Join(scene, 0, "data", {0, 1}, 5);
  Of(scene, 1).cursor.state = CursorState::kDone;
  const Stuck stuck = Found(scene);
  EXPECT_EQ(stuck.kind, StuckKind::kMemberMissing);
  EXPECT_EQ(stuck.rank, 0);
  EXPECT_EQ(stuck.peer, 1);
  EXPECT_EQ(stuck.number, 5);
  EXPECT_THAT(stuck.words, HasSubstr("member missing: rank 1 (pid 1001) has not arrived; it stands done"));
}

TEST(Waits, NameMembersAtDifferentOperations) {
  Scene scene = GPipe(1, 2);
  Join(scene, 0, "data", {0, 1}, 5, 1);
  Join(scene, 1, "data", {0, 1}, 5, 4);
  const Stuck stuck = Found(scene);
  EXPECT_EQ(stuck.kind, StuckKind::kMismatch);
  EXPECT_EQ(stuck.peer, 1);
  EXPECT_THAT(stuck.words, HasSubstr("has come to collective 5 of group data (broadcast)"));
}

TEST(Waits, SayWhereACollectiveDoesNotEndThoughAllAreThere) {
  Scene scene = GPipe(1, 2);
  Join(scene, 0, "data", {0, 1}, 5);
  Join(scene, 1, "data", {0, 1}, 5);
  const Stuck stuck = Found(scene);
  EXPECT_EQ(stuck.kind, StuckKind::kMismatch);
  EXPECT_THAT(stuck.words, HasSubstr("all its members are there"));
}

TEST(Waits, FollowACollectiveToTheLinkThatHoldsUpItsMember) {
  Scene scene = GPipe(2, 2);  // ranks 0, 1: stage 0 of both replicas; 2, 3: stage 1
  Join(scene, 0, "data", {0, 1}, 5);
  Of(scene, 0).cursor.done = 16 + 8;
  Receive(scene, 1, 4, 3);
  Receive(scene, 3, 2, 1);  // never sent
  Join(scene, 2, "data", {2, 3}, 5);
  const Stuck stuck = Found(scene);
  EXPECT_EQ(stuck.kind, StuckKind::kLinkMissing);
  EXPECT_EQ(stuck.rank, 3);
  EXPECT_EQ(stuck.peer, 1);
}

TEST(Waits, TakeTheKindFromTheWordsOfARankThatGaveUp) {
  Scene scene = GPipe(2);
  Receive(scene, 1, 2, 0).state = CursorState::kGaveUp;
  Of(scene, 1).error = "rank 1: receive of 96 elements: out of order: expected one, got another before it";
  const Stuck stuck = Found(scene);
  EXPECT_EQ(stuck.kind, StuckKind::kOutOfOrder);
  EXPECT_EQ(stuck.rank, 1);
  EXPECT_EQ(stuck.peer, 0);
  EXPECT_EQ(stuck.micro_batch, 2);
  Of(scene, 1).error =
      "rank 1: receive of 96 elements of step 3, micro-batch 3, stage 4 to 5 forward from member 2 (rank 6 of the "
      "world) in group 7 of 4 ranks: mismatch: expected 96 elements of step 3, micro-batch 3, stage 4 to 5 forward, "
      "got "
      "48 elements of step 3, micro-batch 3, stage 4 to 5 forward";
  const Stuck ahead = Found(scene);  // of those that were asked for, the one that came
  EXPECT_EQ(ahead.micro_batch, 3);
  EXPECT_EQ(ahead.stage, 5);
  EXPECT_EQ(ahead.peer, 6);
  Of(scene, 1).error = "out of memory";
  EXPECT_EQ(Found(scene).kind, StuckKind::kPeerDead);
}

TEST(Waits, KnowMoreThanARankThatGaveUpOnWhatLiesElsewhere) {
  Scene scene = GPipe(4);
  Receive(scene, 0, 4, 1);
  Receive(scene, 2, 3, 1).state = CursorState::kGaveUp;  // of 2F3 stage 1 sent what comes after it, nothing else
  Stand(scene, 1, 5, CursorState::kCollective);
  Join(scene, 0, "pipeline", {0, 1, 2, 3}, 2).stray = 1 + 1;
  Of(scene, 2).error = "rank 2: receive of 96 elements: link missing: expected one, got another and nothing after that";
  const Stuck stuck = Found(scene);
  EXPECT_EQ(stuck.kind, StuckKind::kLinkCrossed);
  EXPECT_EQ(stuck.rank, 2);
  EXPECT_EQ(stuck.peer, 1);
  EXPECT_EQ(stuck.actual, 0);
  EXPECT_EQ(stuck.micro_batch, 3);
  Of(scene, 0).cursor.stray = -(1 + 1);  // a gradient, which it does expect from there
  EXPECT_EQ(Found(scene).kind, StuckKind::kLinkMissing);
}

TEST(Waits, SayNothingOfWhatTheCursorsDoNotExplain) {
  Scene scene = GPipe(1, 2);
  Join(scene, 0, "data", {0, 1}, 5);
  Of(scene, 0).groups.clear();
  Of(scene, 1).cursor = Of(scene, 0).cursor;
  EXPECT_FALSE(Diagnose(scene).has_value());
}

TEST(Stacks, AreReadFromWhatGdbWrites) {
  const auto functions = FunctionsIn(
      "[New LWP 4712]\n"
      "Thread 2 (Thread 0x7f06 (LWP 4712) \"trainer\"):\n"
      "#0  0x00007f in __futex_abstimed_wait_common () from /lib/libc.so.6\n"
      "#1  0x000055 in lockstep::mpi::MessageEngine::Rest(int, std::chrono::time_point<long>) ()\n"
      "#2  0x000055 in lockstep::mpi::MessageEngine::Run() ()\n"
      "#3  0x00007f in ?? () from /lib/x86_64-linux-gnu/libstdc++.so.6\n"
      "\n"
      "Thread 1 (Thread 0x7f05 (LWP 4711) \"trainer\"):\n"
      "#0  lockstep::mpi::Operation::Wait (this=...) at message_engine.cc:50\n"
      "#1  0x000056 in lockstep::trainer::(anonymous namespace)::WatchedWork::Wait() ()\n");
  EXPECT_EQ(functions.at(4712), "mpi::MessageEngine::Rest < mpi::MessageEngine::Run");
  EXPECT_EQ(functions.at(4711), "mpi::Operation::Wait < trainer::WatchedWork::Wait");
}

TEST(Stacks, AreReadFromWhatEuStackWrites) {
  const auto functions = FunctionsIn(
      "PID 4711 - process\n"
      "TID 4711:\n"
      "#0  0x00007f54d57d2f1f poll\n"
      "#1  0x000000000040113f main\n");
  EXPECT_EQ(functions.at(4711), "poll < main");
}

TEST(Stacks, NameEveryThreadOfAProcess) {
  EXPECT_THAT(ThreadsOf(getpid()), HasSubstr(std::to_string(getpid()) + " unit_launch ("));
}

}  // namespace
}  // namespace lockstep::launch::stuck
