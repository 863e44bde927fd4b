#include "harness/schedule/file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/protocol/bad_input.h"
#include "harness/schedule/lower.h"
#include "harness/schedule/verify.h"
#include "suites/unit/schedule/shapes.h"

namespace lockstep::schedule {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string RefusalOf(const std::string& text) {
  try {
    ParseDocument(text, "x.csv", "x");
  } catch (const protocol::BadInput& refusal) {
    return refusal.what();
  }
  return "accepted";
}

const std::string kHeader = "# lockstep schedule 1\n# name: x\n# ranks: 2\n# chunks: 1\n# micro_batches: 1\n";
const std::string kLines = "0F0,0B0\n1F0,1B0\n";

TEST(ScheduleFile, IsReadBackAsWritten) {
  for (const Generator* generator : AllGenerators()) {
    for (const Shape& shape : RandomShapes(*generator, 5, 3)) {
      for (const bool transfers : {false, true}) {
        Document document;
        document.schedule = Make(generator->name, shape);
        if (transfers) document.schedule = WithTransfers(document.schedule);
        document.channels = Channels{ChannelKind::kBounded, 3};
        document.costs.forward = {17};
        document.costs.backward = {40};
        document.costs.latency = 9;
        document.costs.message_bytes = PerStage(static_cast<std::size_t>(document.schedule.stages), 5);
        const std::string text = ToText(document);
        EXPECT_EQ(ParseDocument(text, "x", "other"), document) << text;
      }
    }
  }
}

TEST(ScheduleFile, HasAHeaderForPeople) {
  Document document;
  document.schedule = Make("zb_v", {2, 2, 1});
  document.costs.forward = {2, 2, 2, 3};
  document.channels = Channels{ChannelKind::kRendezvous, 1};
  EXPECT_EQ(ToText(document),
            "# lockstep schedule 1\n# name: zb_v\n# ranks: 2\n# chunks: 2\n# micro_batches: 1\n# placement: 0 3, 1 2\n"
            "# channels: rendezvous\n# forward: 2 2 2 3\n0F0,3F0,3I0,3W0,0I0,0W0\n1F0,2F0,2I0,2W0,1I0,1W0\n");
}

TEST(ScheduleFile, OfTorchSaysItAllInItsActions) {
  const Document document =
      ParseDocument("0F0,,0F1,3F0,3I0,3W0,3F1,3B1,0B0,0B1\r\n,1F0,1F1,2F0,2F1,2B0,2B1,1B0,1B1\r\n\r\n", "v.csv", "v");
  EXPECT_TRUE(document.from_torch);
  EXPECT_EQ(document.schedule.name, "v");
  EXPECT_EQ(document.schedule.stages, 4);
  EXPECT_EQ(document.schedule.micro_batches, 2);
  EXPECT_EQ(document.schedule.placement, (Placement{{0, 3}, {1, 2}}));
  EXPECT_EQ(ToString(document.schedule.ranks[1]), "1F0,1F1,2F0,2F1,2B0,2B1,1B0,1B1");
  EXPECT_FALSE(document.channels);
}

TEST(ScheduleFile, OfTorchComesBackAsItWent) {
  for (const char* name : {"gpipe", "1f1b", "interleaved_1f1b", "looped_bfs", "zb_h1", "zb_v", "dualpipe_v"}) {
    const Shape shape{4, FindGenerator(name, "test").min_chunks, 8};
    for (const protocol::Schedule& schedule : {Make(name, shape), WithTransfers(Make(name, shape))}) {
      EXPECT_EQ(ParseDocument(ToTorch(schedule, "x"), "x", name).schedule, schedule) << name;
    }
  }
}

TEST(ScheduleFile, SaysWhereStagesStandThatDoNotDivideOverTheRanks) {
  const Document document = ParseDocument("0F0,2F0,2B0,0B0\n1F0,1B0\n", "x", "x");
  EXPECT_EQ(document.schedule.placement, (Placement{{0, 2}, {1}}));
  EXPECT_EQ(FirstProblem(document.schedule), "");
  EXPECT_EQ(ParseDocument(ToText(document), "x", "x").schedule, document.schedule);
}

TEST(ScheduleFile, TakesCellsThatASpreadsheetQuoted) {
  EXPECT_EQ(ToString(ParseDocument("\"0F0\", \"(0F1;0B0)OVERLAP_F_B\" ,\"\",0B1\n", "x", "x").schedule.ranks[0]),
            "0F0,(0F1;0B0)OVERLAP_F_B,0B1");
}

TEST(ScheduleFile, GoesToTorchOnlyIfTorchHasSuchAThing) {
  const auto refusal = [](const protocol::Schedule& schedule) {
    try {
      return ToTorch(schedule, "x");
    } catch (const protocol::BadInput& error) {
      return std::string(error.what());
    }
  };
  EXPECT_THAT(refusal(Make("dualpipe", {4, 1, 8})), StartsWith("x: stage 2 stands on ranks 1 and 2; torch"));
  EXPECT_THAT(refusal(FromLines(1, 1, {"0F0,0B0,0OPTIMIZER"})), HasSubstr("has no 0OPTIMIZER"));
  EXPECT_THAT(refusal(FromLines(1, 1, {"0F0,0RECOMPUTE0,0B0"})), HasSubstr("has no 0RECOMPUTE0"));
}

TEST(ScheduleFile, NamesTheLineAndTheCellThatItCanNotRead) {
  EXPECT_THAT(RefusalOf("0F0,0B0\n1F0,,1Q0\n"),
              StartsWith("x.csv: line 2, cell 3: \"1Q0\" is not an action; expected"));
  EXPECT_THAT(RefusalOf(kHeader + "0F0,0B0\n1F0,1B\n"), StartsWith("x.csv: line 7, cell 2: \"1B\" is not"));
  EXPECT_THAT(RefusalOf(""), HasSubstr("is empty"));
  EXPECT_THAT(RefusalOf("\n\n"), HasSubstr("is empty"));
  EXPECT_THAT(RefusalOf("# a title\n0F0,0B0\n"), HasSubstr("line 1: is no line of actions; expected 0F0,0F1,... or"));
  EXPECT_THAT(RefusalOf("9223372036854775807F0\n"), HasSubstr("beyond all bounds"));
}

TEST(ScheduleFile, HoldsItsHeaderToItsWord) {
  EXPECT_EQ(RefusalOf(kHeader + kLines), "accepted");
  EXPECT_THAT(RefusalOf("# lockstep schedule 2\n" + kLines),
              HasSubstr("line 1: \"# lockstep schedule 2\" is another version; expected"));
  EXPECT_THAT(RefusalOf("# lockstep schedule 1\n" + kLines), HasSubstr("the header lacks name"));
  EXPECT_THAT(RefusalOf(kHeader), HasSubstr("has no line of actions"));
  EXPECT_THAT(RefusalOf(kHeader + "0F0,0B0\n"),
              HasSubstr("has 1 lines of actions; expected one for each of the 2 ranks"));
  EXPECT_THAT(RefusalOf(kHeader + "# forwad: 1\n" + kLines),
              HasSubstr("line 6: \"forwad\" is no key of the header; expected \"forward\""));
  EXPECT_THAT(RefusalOf(kHeader + "# forward\n" + kLines), HasSubstr("line 6: has no ':'"));
  EXPECT_THAT(RefusalOf(kHeader + "# name: y\n" + kLines), HasSubstr("gives name twice"));
  EXPECT_THAT(RefusalOf(kHeader + kLines + "# forward: 1\n"), HasSubstr("line 8: is a header below the first rank"));
  EXPECT_THAT(RefusalOf(kHeader + "# forward: 1 2 3\n" + kLines),
              HasSubstr("line 6: forward: is \"1 2 3\"; expected one whole"));
  EXPECT_THAT(RefusalOf(kHeader + "# forward: -1\n" + kLines), HasSubstr("from 0 to 1000000000"));
  EXPECT_THAT(RefusalOf(kHeader + "# latency: 1 1\n" + kLines), HasSubstr("latency: is \"1 1\""));
  EXPECT_THAT(RefusalOf(kHeader + "# channels: fifo\n" + kLines),
              HasSubstr("expected unbounded, bounded N or rendezvous"));
  EXPECT_THAT(RefusalOf(kHeader + "# channels: bounded 0\n" + kLines), HasSubstr("channels are \"bounded 0\""));
  EXPECT_THAT(RefusalOf(kHeader + "# placement: 0, x\n" + kLines), HasSubstr("expected each rank's stages: 0 3, 1 2"));
  EXPECT_THAT(RefusalOf(kHeader + "# placement: 0, 2\n" + kLines), HasSubstr("leaves out a stage"));
  EXPECT_THAT(RefusalOf(kHeader + "# placement: 0 1\n" + kLines), HasSubstr("is of 1 ranks; expected 2"));
  EXPECT_THAT(RefusalOf(kHeader + "# placement: 0 1, 1 0\n" + kLines), HasSubstr("up to 2 stages; expected 1 chunks"));
  EXPECT_THAT(RefusalOf(kHeader + "# bandwidth: 1\n# message_bytes: 2000000000\n" + kLines),
              HasSubstr("takes 2000000000 ticks; expected at most 1000000000; measure in longer ticks"));
  std::string nameless = kHeader;
  nameless.replace(nameless.find("name: x"), 7, "name:\x05");
  EXPECT_THAT(RefusalOf(nameless + kLines), HasSubstr("line 2: name is \"?\"; expected 1 to 256 bytes"));
  std::string many = kHeader;
  many.replace(many.find("ranks: 2"), 8, "ranks: 9999");
  EXPECT_THAT(RefusalOf(many + kLines), HasSubstr("line 3: ranks is \"9999\"; expected 1 to 4096"));
}

}  // namespace
}  // namespace lockstep::schedule
