#include "harness/protocol/plan.h"

#include <nlohmann/json.hpp>

#include "harness/protocol/files.h"
#include "harness/protocol/schedule.h"
#include "suites/unit/protocol/support.h"

namespace lockstep::protocol {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::string RefusalOf(const std::string& text) {
  return Refusal([&] { ParsePlan(text); });
}

TEST(Plan, TextFormTakesShortAndLongNames) {
  const Plan plan = ParsePlan("dp=2,pp=3,tp=4,v=2,m=5,schedule=interleaved,sp=true,zero=1,partition=2+1+1");
  EXPECT_EQ(plan, ParsePlan("data=2,pipeline=3,tensor=4,chunks=2,micro_batches=5,schedule=interleaved,"
                            "sequence_parallel=true,zero_stage=1,partition=2+1+1"));
  EXPECT_EQ(plan.WorldSize(), 24);
  EXPECT_EQ(plan.Stages(), 6);
  EXPECT_EQ(plan.partition, (std::vector<std::int64_t>{2, 1, 1}));
}

TEST(Plan, CanonicalTextIsShortAndReadBackTheSame) {
  EXPECT_EQ(ToString(Plan{}), "single");
  EXPECT_EQ(ParsePlan("single"), Plan{});
  EXPECT_EQ(ParsePlan(""), Plan{});
  for (const std::string text :
       {"dp=2", "dp=2,pp=2,tp=2,micro_batches=4", "pp=2,micro_batches=2,schedule=gpipe", "tp=2,sequence_parallel=true",
        "pp=3,partition=2+1+1", "partition=2", "dp=2,zero_stage=1,recompute=true,overlap=false,bucket_bytes=4"}) {
    const Plan plan = ParsePlan(text);
    EXPECT_EQ(ParsePlan(ToString(plan)), plan) << text;
    EXPECT_EQ(ToString(plan), text);
  }
  EXPECT_EQ(ToString(ParsePlan("m=4,tp=2,dp=3,schedule=1f1b")), "dp=3,tp=2,micro_batches=4");
}

TEST(Plan, TextFormRefusesWithTheNearestRightKey) {
  EXPECT_EQ(RefusalOf("micro_batch=2"), "plan: micro_batch: unknown key; expected \"micro_batches\"");
  EXPECT_THAT(RefusalOf("dp=2,data=2"), HasSubstr("given twice"));
  EXPECT_THAT(RefusalOf("dp"), HasSubstr("has no '='"));
  EXPECT_THAT(RefusalOf("dp=2,"), HasSubstr("has no '='"));

  EXPECT_THAT(RefusalOf("dp=0"), HasSubstr("plan: data: is 0"));
  EXPECT_THAT(RefusalOf("dp=two"), HasSubstr("plan: data: is \"two\""));
  EXPECT_THAT(RefusalOf("dp=2+2"), HasSubstr("plan: data: is an array"));
  EXPECT_THAT(RefusalOf("partition=2+"), HasSubstr("plan: partition"));
  EXPECT_THAT(RefusalOf("sp=yes"), HasSubstr("plan: sequence_parallel: is \"yes\""));
  EXPECT_THAT(RefusalOf("schedule=2"), HasSubstr("plan: schedule: is 2"));
  EXPECT_THAT(RefusalOf("dp=100,tp=100"), HasSubstr("10000 ranks"));
  EXPECT_THAT(RefusalOf("dp=99999999999999999999"), HasSubstr("plan: data"));
}

TEST(Plan, EveryFieldSurvivesTheWayThroughJsonAndToml) {
  const Plan plan = ParsePlan(
      "dp=2,pp=3,tp=4,v=2,m=5,schedule=x,sp=true,zero=1,partition=2+1+1,recompute=true,"
      "overlap=false,bucket_bytes=99");
  EXPECT_EQ(PlanFromJson(PlanToJson(plan), "p"), plan);
  const Scratch folder;
  WriteFileWhole(folder / "top.toml", "data = 2\nmicro_batches = 3\n");
  WriteFileWhole(folder / "table.toml", "[plan]\ndata = 2\nmicro_batches = 3\n");
  WriteFileWhole(folder / "wrong.toml", "[plan]\ndta = 2\n");
  EXPECT_EQ(ReadPlanToml(folder / "top.toml"), ParsePlan("dp=2,m=3"));
  EXPECT_EQ(ReadPlanToml(folder / "table.toml"), ParsePlan("dp=2,m=3"));
  EXPECT_THAT(Refusal([&] { ReadPlanToml(folder / "wrong.toml"); }),
              HasSubstr("wrong.toml: plan.dta: unknown key; expected \"data\""));
}

TEST(Plan, RanksAndCoordinatesAreInverse) {
  const Plan plan = ParsePlan("dp=3,pp=2,tp=4");
  for (std::int64_t rank = 0; rank < plan.WorldSize(); ++rank) EXPECT_EQ(plan.RankOf(plan.At(rank)), rank);
  EXPECT_EQ(plan.At(5), (Coordinates{1, 1, 0}));  // tensor ranks are neighbours
  EXPECT_EQ(plan.At(12), (Coordinates{0, 0, 1}));
}

TEST(Plan, StagesGetThePartitionOrAnEvenSplit) {
  Model model = SmallRequest().workload.model;
  model.layers = 5;
  EXPECT_EQ(StagePartition(ParsePlan("pp=2"), model), (std::vector<std::int64_t>{3, 2}));
  EXPECT_EQ(StagePartition(ParsePlan("pp=2,partition=1+4"), model), (std::vector<std::int64_t>{1, 4}));
  for (const char* text : {"pp=2,partition=1+3", "pp=2,partition=5", "pp=2,partition=5+0", "pp=2,partition=1+2+2"}) {
    EXPECT_THAT(Refusal([&] { StagePartition(ParsePlan(text), model); }), HasSubstr("partition")) << text;
  }
  Model own;
  own.kind = ModelKind::kOwn;  // only its trainer knows how many units it has
  EXPECT_EQ(StagePartition(ParsePlan("pp=2,partition=7+9"), own), (std::vector<std::int64_t>{7, 9}));
}

TEST(Plan, RefusesWhatCantLayOutTheWorkload) {
  const Workload workload = SmallRequest().workload;  // batch 5, 2 blocks, 2 heads
  const auto refusal = [&](const std::string& text) {
    return Refusal([&] { Validate(ParsePlan(text), workload, "r.json: plan"); });
  };
  EXPECT_NO_THROW(Validate(ParsePlan("dp=5"), workload, "p"));
  EXPECT_THAT(refusal("dp=3,m=2"), HasSubstr("r.json: plan.micro_batches: 3 replicas of 2"));
  EXPECT_THAT(refusal("tp=3"), HasSubstr("r.json: plan.tensor: is 3"));
  EXPECT_THAT(refusal("pp=3"), HasSubstr("r.json: plan.pipeline: has 3 stages"));
  EXPECT_THAT(refusal("pp=2,v=2"), HasSubstr("r.json: plan.pipeline: has 4 stages"));
  EXPECT_THAT(refusal("v=2"), HasSubstr("r.json: plan.chunks"));
  EXPECT_THAT(refusal("sp=true"), HasSubstr("r.json: plan.sequence_parallel"));
  EXPECT_THAT(refusal("pp=2,partition=2+2"), HasSubstr("r.json: plan.partition: is [2, 2]"));
}

TEST(MicroBatchRun, IsASplitOfASplit) {
  const Plan plan = ParsePlan("dp=2,m=2");  // PROTOCOL.md's example: 7 samples as {0,1} {2,3} | {4,5} {6}
  EXPECT_EQ(MicroBatchRun(7, plan, 0, 1).begin, 2);
  EXPECT_EQ(MicroBatchRun(7, plan, 1, 0).begin, 4);
  EXPECT_EQ(MicroBatchRun(7, plan, 1, 1).begin, 6);
  EXPECT_EQ(MicroBatchRun(7, plan, 1, 1).size, 1);
  EXPECT_EQ(MicroBatchRun(1, plan, 1, 1).size, 0);  // a tail batch smaller than the plan
}

TEST(Schedule, ActionsAreReadBackAsWritten) {
  const std::string line =
      "0F0,1B12,3I4,3W4,0SEND_F1,1RECV_F1,1SEND_B1,0RECV_B1,(0F3;1B0)OVERLAP_F_B,"
      "0RECOMPUTE2,1UNSHARD,1RESHARD,1REDUCE_GRAD,1OPTIMIZER";
  EXPECT_EQ(ToString(ParseActions(line, "s")), line);
  EXPECT_TRUE(ParseActions("", "s").empty());
  for (const char* text : {"F0",
                           "0F",
                           "0X0",
                           "-1F0",
                           "0F0x",
                           "0F0,,0B0",
                           "0F0,",
                           "0f0",
                           "99999999999999999999F0",
                           "0 F0",
                           "0FF0",
                           "1UNSHARD0",
                           "1RECOMPUTE",
                           "(0F0;0B0)",
                           "(0F0)OVERLAP_F_B",
                           "(0F0;0F1)OVERLAP_F_B",
                           "(0F0;0W0)OVERLAP_F_B",
                           "(0F0;1B0)OVERLAP_F_B0",
                           "(0F0;1B0;1B1)OVERLAP_F_B",
                           "0F0;1B0)OVERLAP_F_B",
                           "()OVERLAP_F_B"}) {
    EXPECT_THAT(Refusal([&] { ParseActions(text, "r.json: schedule"); }), HasSubstr("r.json: schedule")) << text;
  }
}

TEST(Schedule, AFusedPairIsTwoActionsInItsOrder) {
  const std::vector<Action> line = ParseActions("0F0, ( 0F1 ; 1B0 )OVERLAP_F_B,1B1", "s");
  ASSERT_EQ(line.size(), 4u);
  EXPECT_EQ(line[1], (Action{0, ActionKind::kForward, 1, true}));
  EXPECT_EQ(line[2], (Action{1, ActionKind::kBackward, 0, false}));
  EXPECT_EQ(ToString(line), "0F0,(0F1;1B0)OVERLAP_F_B,1B1");
}

TEST(Schedule, StagesStandOnRankStageModRanksUnlessItSaysOtherwise) {
  Schedule schedule{"s", 4, 1, {{}, {}}};
  EXPECT_EQ(PlacementOf(schedule), (std::vector<std::vector<std::int64_t>>{{0, 2}, {1, 3}}));
  schedule.placement = {{0, 3}, {1, 2}};
  EXPECT_EQ(PlacementOf(schedule), schedule.placement);
}

}  // namespace
}  // namespace lockstep::protocol
