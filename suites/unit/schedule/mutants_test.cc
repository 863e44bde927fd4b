// Spoilt schedules are refused, all of them, with an operation named; schedules that only look odd are not.
#include "suites/unit/schedule/mutants.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "harness/schedule/lower.h"
#include "harness/schedule/verify.h"
#include "suites/unit/schedule/brute_force.h"
#include "suites/unit/schedule/shapes.h"

namespace lockstep::schedule {
namespace {

constexpr unsigned kSeed = 314159;

// Small schedules of every generator, with transfers and without.
std::vector<protocol::Schedule> Valid() {
  std::vector<protocol::Schedule> schedules;
  for (const Generator* generator : AllGenerators()) {
    for (const Shape& shape : {Shape{2, generator->min_chunks, 4}, Shape{4, generator->min_chunks, 8}}) {
      schedules.push_back(Generate(*generator, shape, "test"));
      schedules.push_back(WithTransfers(schedules.back()));
      // The second opinion doesn't know what concerns whole stages.
      for (auto& line : schedules.back().ranks) {
        std::erase_if(line, [](const protocol::Action& a) { return !protocol::IsOfMicroBatch(a.kind); });
      }
    }
  }
  return schedules;
}

bool HasTransfers(const protocol::Schedule& schedule) {
  for (const protocol::Action& action : schedule.ranks[0]) {
    if (IsTransfer(action.kind)) return true;
  }
  return false;
}

TEST(Mutants, TheSecondOpinionFindsNoHarmInValidSchedules) {
  for (const protocol::Schedule& schedule : Valid()) EXPECT_EQ(HarmOf(schedule), "") << schedule.name;
}

TEST(Mutants, OfEveryKindAreHarmfulAndRefusedWithAnOperationNamed) {
  std::mt19937 random(kSeed);
  std::map<std::string, int> refused;
  int all = 0;
  for (const protocol::Schedule& schedule : Valid()) {
    for (const Mutation& mutation : Mutations()) {
      if (mutation.with_transfers && !HasTransfers(schedule)) continue;
      const auto spoilt = mutation.spoil(schedule, &random);
      if (!spoilt) continue;
      ++all;
      const std::string what = schedule.name + " " + mutation.name;
      EXPECT_NE(HarmOf(*spoilt), "") << what << " is no harm";
      const auto problem = Verify(*spoilt, EveryKindOfChannels());
      ASSERT_TRUE(problem) << what << " is accepted";
      const bool named = problem->rank >= 0 || problem->what.find(", is never computed") != std::string::npos;
      EXPECT_TRUE(named) << what << ": " << ToString(*problem);
      ++refused[mutation.name];
    }
  }
  RecordProperty("mutants", all);
  EXPECT_GE(all, 200);
  for (const Mutation& mutation : Mutations()) EXPECT_GE(refused[mutation.name], 4) << mutation.name;
}

// Any single action put anywhere else in its line: refused where, and only where, it does harm.
TEST(Mutants, ByRandomMovesAreRefusedJustWhenTheyDoHarm) {
  std::mt19937 random(kSeed);
  int harmful = 0, harmless = 0;
  for (const protocol::Schedule& schedule : Valid()) {
    for (int i = 0; i < 40; ++i) {
      protocol::Schedule moved = schedule;
      auto& line = moved.ranks[random() % moved.ranks.size()];
      const std::size_t from = random() % line.size(), near = std::min(line.size() - 1, from + random() % 4);
      if (line[from].with_next || (from > 0 && line[from - 1].with_next)) continue;
      if (near + 1 < line.size() && line[near].with_next) continue;
      const protocol::Action action = line[from];
      line.erase(line.begin() + static_cast<std::ptrdiff_t>(from));
      line.insert(line.begin() + static_cast<std::ptrdiff_t>(near), action);
      const std::string harm = HarmOf(moved), problem = FirstProblem(moved);
      EXPECT_EQ(harm.empty(), problem.empty())
          << schedule.name << ": " << protocol::ToString(action) << " harm: " << harm << ", problem: " << problem;
      ++(harm.empty() ? harmless : harmful);
    }
  }
  EXPECT_GE(harmful, 200);
  EXPECT_GE(harmless, 200);
}

}  // namespace
}  // namespace lockstep::schedule
