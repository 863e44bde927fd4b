// What one rank has to know of the others' lines, read off them.
#include "reference/trainer/wiring.h"

#include <gmock/gmock.h>

#include "harness/protocol/schedule.h"

namespace lockstep::trainer::testing {
namespace {

using ::testing::ElementsAre;

protocol::Schedule Written(std::int64_t stages, std::int64_t micro_batches, const std::vector<std::string>& lines,
                           const std::vector<std::vector<std::int64_t>>& placement = {}) {
  protocol::Schedule schedule{"written", stages, micro_batches, {}, placement};
  for (const std::string& line : lines) schedule.ranks.push_back(protocol::ParseActions(line, "test"));
  return schedule;
}

std::string Text(const Link& link) {
  std::string text = std::to_string(link.from) + (link.backward ? " back to " : " to ") + std::to_string(link.to) + ":";
  for (const LinkMessage& message : link.messages) {
    text += " " + std::to_string(message.source) + ">" + std::to_string(message.target) + "/" +
            std::to_string(message.micro_batch);
  }
  return text;
}

std::vector<std::string> Texts(const Wiring& wiring) {
  std::vector<std::string> texts;
  for (const Link& link : wiring.links()) texts.push_back(Text(link));
  return texts;
}

TEST(Wiring, ListsALinksMessagesInTheSendersOrder) {
  const Wiring wiring(Written(2, 2, {"0F1,0F0,0B0,0B1", "1F0,1F1,1I1,1I0,1W0,1W1"}));
  EXPECT_THAT(Texts(wiring), ElementsAre("0 to 1: 0>1/1 0>1/0", "1 back to 0: 1>0/1 1>0/0"));
}

TEST(Wiring, SendsNothingBetweenStagesOfOneRank) {
  const Wiring wiring(Written(4, 1, {"0F0,3F0,3B0,0B0", "1F0,2F0,2B0,1B0"}, {{0, 3}, {2, 1}}));
  EXPECT_THAT(Texts(wiring), ElementsAre("0 to 1: 0>1/0", "1 to 0: 2>3/0", "0 back to 1: 3>2/0", "1 back to 0: 1>0/0"));
  EXPECT_THAT(wiring.StagesOn(1), ElementsAre(1, 2));
  EXPECT_TRUE(wiring.StandsOn(3, 0));
  EXPECT_FALSE(wiring.StandsOn(3, 1));
}

TEST(Wiring, FollowsEachMicroBatchWhereAStageStandsTwice) {
  const Wiring wiring(Written(2, 2, {"0F0,1F1,1B1,0B0", "0F1,1F0,1B0,0B1"}, {{0, 1}, {0, 1}}));
  EXPECT_EQ(wiring.RankOf(0, 0), 0);
  EXPECT_EQ(wiring.RankOf(0, 1), 1);
  EXPECT_EQ(wiring.RankOf(1, 1), 0);
  EXPECT_THAT(wiring.RanksOf(0), ElementsAre(0, 1));
  EXPECT_THAT(Texts(wiring), ElementsAre("0 to 1: 0>1/0", "1 to 0: 0>1/1", "0 back to 1: 1>0/1", "1 back to 0: 1>0/0"));
}

}  // namespace
}  // namespace lockstep::trainer::testing
