#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/protocol/bad_input.h"
#include "harness/schedule/draw.h"
#include "suites/unit/schedule/shapes.h"

namespace lockstep::schedule {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Picture Of(const protocol::Schedule& schedule, const Costs& costs = {}) {
  return PictureOf(schedule, Simulate(schedule, costs, Channels()));
}

TEST(Drawing, ForATerminalWithoutColourSaysWhatEveryBoxIs) {
  EXPECT_EQ(DrawForTerminal(Of(Make("1f1b", {2, 1, 2})), {.color = false, .columns = 80, .window = {}}),
            "1f1b: 2 ranks, 2 micro-batches\n"
            "ticks   0           4           8\n"
            "rank 0  F0 F1 ......B0--- ...B1--- \n"
            "rank 1  ...F0 B0--- F1 B1--- ......\n"
            "F forward   B backward   . idle\n");
}

TEST(Drawing, TellsTheStagesOfARankApart) {
  const std::string text = DrawForTerminal(Of(Make("zb_v", {2, 2, 1})), {.color = false, .columns = 80, .window = {}});
  EXPECT_THAT(text, HasSubstr("rank 0  F0a ........F0b I0b W0b ........I0a W0a"));
  EXPECT_THAT(text, HasSubstr("a, b, ... a rank's stages in order"));
}

TEST(Drawing, NamesBothHalvesOfAFusedPair) {
  const std::string text = DrawForTerminal(Of(FromLines(1, 2, {"0F0,(0F1;0B0)OVERLAP_F_B,0B1"})),
                                           {.color = false, .columns = 80, .window = {}});
  EXPECT_THAT(text, HasSubstr("rank 0  F0 F1&B0--- B1--- \n"));
}

TEST(Drawing, InColourHasTheMicroBatchInEachBox) {
  const std::string text =
      DrawForTerminal(Of(FromLines(1, 1, {"0F0,0B0"})), {.color = true, .columns = 80, .window = {}});
  EXPECT_THAT(text, HasSubstr("rank 0  \033[38;5;16;48;5;117m\u258f0\033[38;5;16;48;5;214m\u258f 0 \033[0m\n"));
}

TEST(Drawing, GoesOnBelowWhereTheTerminalEnds) {
  const std::string text =
      DrawForTerminal(Of(Make("gpipe", {2, 1, 12})), {.color = false, .columns = 60, .window = {}});
  EXPECT_THAT(text, HasSubstr("\nticks   0"));
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    EXPECT_LE(end - at, 60u);
    at = end + 1;
  }
}

TEST(Drawing, KeepsLengthsInProportionToTime) {
  Costs costs;
  costs.forward = {1000};
  costs.input_gradient = {1500};
  costs.weight_gradient = {500};
  EXPECT_THAT(
      DrawForTerminal(Of(FromLines(1, 1, {"0F0,0I0,0W0"}), costs), {.color = false, .columns = 80, .window = {}}),
      HasSubstr("rank 0  F0--- I0------ W0 "));
}

TEST(Drawing, ShowsAPartOfTheTime) {
  const std::string text =
      DrawForTerminal(Of(Make("1f1b", {2, 1, 4})), {.color = false, .columns = 80, .window = {3, 6}});
  EXPECT_THAT(text, HasSubstr("rank 0  ...B0--- \n"));
}

TEST(Drawing, RefusesToFloodATerminal) {
  const Picture picture = Of(Make("1f1b", {64, 1, 1024}));
  EXPECT_THROW(DrawForTerminal(picture, {.color = false, .columns = 80, .window = {}}), protocol::BadInput);
  EXPECT_THAT(DrawForTerminal(picture, {.color = false, .columns = 80, .window = {0, 20}}), HasSubstr("rank 63"));
}

TEST(Drawing, AsSvgHasABoxForEveryOperation) {
  const std::string svg = DrawSvg(Of(Make("zb_h1", {3, 1, 5})), {});
  EXPECT_THAT(svg, ::testing::StartsWith("<svg xmlns=\"http://www.w3.org/2000/svg\""));
  EXPECT_THAT(svg, ::testing::EndsWith("</svg>\n"));
  for (int stage = 0; stage < 3; ++stage) {
    for (int micro = 0; micro < 5; ++micro) {
      for (const char* kind : {"F", "I", "W"}) {
        EXPECT_THAT(svg, HasSubstr("<title>" + std::to_string(stage) + kind + std::to_string(micro) + ": "));
      }
    }
  }
  EXPECT_THAT(svg, HasSubstr(">rank 2</text>"));
  EXPECT_THAT(svg, HasSubstr(">idle 11.8%</text>"));  // 2 of 17 ticks
}

TEST(Drawing, AsSvgEscapesWhatANameMayHold) {
  protocol::Schedule schedule = FromLines(1, 1, {"0F0,0B0"});
  schedule.name = "<a & b>";
  const std::string svg = DrawSvg(Of(schedule), {});
  EXPECT_THAT(svg, HasSubstr("&lt;a &amp; b&gt;: 1 rank, 1 micro-batch"));
  EXPECT_THAT(svg, Not(HasSubstr("<a &")));
}

TEST(Drawing, OfNothingButCommunicationIsStillADrawing) {
  Costs costs;
  costs.forward = costs.input_gradient = costs.weight_gradient = {0};
  const Picture picture = Of(FromLines(1, 1, {"0F0,0B0"}), costs);
  EXPECT_THAT(DrawSvg(picture, {}), HasSubstr("rank 0"));
  EXPECT_THAT(DrawForTerminal(picture, {.color = false, .columns = 80, .window = {}}), HasSubstr("1 rank"));
}

}  // namespace
}  // namespace lockstep::schedule
