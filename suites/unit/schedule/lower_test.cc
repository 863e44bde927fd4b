#include "harness/schedule/lower.h"

#include <gtest/gtest.h>

#include "harness/schedule/simulate.h"
#include "harness/schedule/verify.h"
#include "suites/unit/schedule/shapes.h"

namespace lockstep::schedule {
namespace {

TEST(Lowering, WritesBothEndsOfEveryMessageWhereItsSenderEnds) {
  const protocol::Schedule lowered = WithTransfers(Make("1f1b", {2, 1, 2}));
  EXPECT_EQ(ToString(lowered.ranks[0]), "0F0,0SEND_F0,0F1,0SEND_F1,0RECV_B0,0B0,0RECV_B1,0B1");
  EXPECT_EQ(ToString(lowered.ranks[1]), "1RECV_F0,1F0,1RECV_F1,1B0,1SEND_B0,1F1,1B1,1SEND_B1");
}

TEST(Lowering, SendsNothingBetweenStagesOfOneRank) {
  const protocol::Schedule lowered = WithTransfers(Make("zb_v", {2, 2, 1}));
  // Stages 1 and 2 are both on rank 1.
  EXPECT_EQ(ToString(lowered.ranks[1]), "1RECV_F0,1F0,2F0,2SEND_F0,2RECV_B0,2I0,2W0,1I0,1SEND_B0,1W0");
}

TEST(Lowering, ReducesTheGradientsOfStagesOnTwoRanksInOneOrder) {
  const protocol::Schedule lowered = WithTransfers(Make("dualpipe", {2, 1, 4}));
  for (const auto& line : lowered.ranks) {
    EXPECT_EQ(ToString(std::vector<protocol::Action>(line.end() - 2, line.end())), "0REDUCE_GRAD,1REDUCE_GRAD");
  }
}

TEST(Lowering, CostsNoTimeWhereSendsWaitForNothing) {
  Costs costs;
  costs.forward = {2};
  costs.input_gradient = {3};
  for (const Generator* generator : AllGenerators()) {
    for (const Shape& shape : RandomShapes(*generator, 10, 7)) {
      const protocol::Schedule schedule = Make(generator->name, shape);
      const Simulation bare = Simulate(schedule, costs, Channels());
      const Simulation lowered = Simulate(WithTransfers(schedule), costs, Channels());
      EXPECT_EQ(lowered.makespan, bare.makespan) << Describe(*generator, shape);
      EXPECT_EQ(lowered.ranks, bare.ranks) << Describe(*generator, shape);
    }
  }
}

}  // namespace
}  // namespace lockstep::schedule
