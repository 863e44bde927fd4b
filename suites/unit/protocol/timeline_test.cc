#include "harness/protocol/timeline.h"

#include "harness/protocol/cursor.h"
#include "harness/protocol/files.h"
#include "suites/unit/protocol/support.h"

namespace lockstep::protocol {
namespace {

using ::testing::HasSubstr;

std::string RefusalOf(const std::string& line) {
  const std::string clock = TimelineToText({SmallTimeline().clock, {}, {}, {}, {}, {}});
  return Refusal([&] { TimelineFromText(clock + line + "\n", "timeline.jsonl"); });
}

TEST(Timeline, SurvivesTheWayThroughAFile) {
  const Scratch folder;
  WriteTimeline(folder / kTimelineFile, SmallTimeline());
  EXPECT_EQ(ReadTimeline(folder / kTimelineFile), SmallTimeline());
}

TEST(Timeline, TakesWhatAnotherTrainerCanSayAndSkipsItsOwnKinds) {
  const std::string clock = TimelineToText({SmallTimeline().clock, {}, {}, {}, {}, {}});
  const Timeline timeline = TimelineFromText(
      clock + R"({"event": "op", "step": 1, "position": 0, "action": "0F0", "started": 1.5, "ended": 2})" + "\n" +
          R"({"event": "kernel", "name": "gemm"})" + "\n",
      "timeline.jsonl");
  ASSERT_EQ(timeline.ops.size(), 1u);
  EXPECT_EQ(timeline.ops[0].enqueued, 1.5);
  EXPECT_EQ(timeline.ops[0].ready, 1.5);
  EXPECT_EQ(timeline.ops[0].memory, -1);
}

TEST(Timeline, NamesTheLineAndTheFieldThatIsWrong) {
  EXPECT_THAT(RefusalOf(R"({"event": "op", "step": 1, "position": 0, "action": "0F0", "started": 2, "ended": 1})"),
              HasSubstr("timeline.jsonl:2: ended: is before started"));
  EXPECT_THAT(RefusalOf(R"({"event": "span", "step": 1, "name": "data", "began": 0, "ended": "NaN"})"),
              HasSubstr("ended"));
  EXPECT_THAT(RefusalOf(R"({"event": "span", "step": 1, "name": "data", "began": 0, "ended": 1, "extra": 1})"),
              HasSubstr("extra"));
  EXPECT_THAT(RefusalOf(R"({"event": "collective", "step": 1, "group": "data", "number": 0, "operation": "reduce",)"
                        R"( "posted": 0, "ended": 1})"),
              HasSubstr("operation"));
  EXPECT_THAT(RefusalOf(R"({"event": "message", "step": 1, "side": "receive", "peer": 0, "source_stage": 0,)"
                        R"( "target_stage": 1, "micro_batch": 0, "direction": "forward", "posted": 0, "ended": 1,)"
                        R"( "wait_began": 0})"),
              HasSubstr("wait_ended"));
  EXPECT_THAT(Refusal([] { TimelineFromText("{\"event\": \"step\", \"step\": 1}\n", "t"); }), HasSubstr("clock"));
  EXPECT_THAT(Refusal([] { TimelineFromText("{\"event\": \"clock\"", "t"); }), HasSubstr("whole lines"));
}

TEST(Cursor, IsReadAsItStandsAndNotWhileItIsWritten) {
  const Scratch folder;
  const auto file = folder / kCursorFile;
  EXPECT_EQ(ReadCursor(file), std::nullopt);
  Cursor cursor;
  cursor.sequence = 2;
  cursor.step = 3;
  cursor.position = 7;
  cursor.state = CursorState::kReceiving;
  cursor.peer = 5;
  const auto write = [&] { WriteFileWhole(file, std::string(reinterpret_cast<const char*>(&cursor), sizeof(cursor))); };
  write();
  ASSERT_TRUE(ReadCursor(file).has_value());
  EXPECT_EQ(ReadCursor(file)->step, 3);
  EXPECT_EQ(ReadCursor(file)->peer, 5);
  cursor.sequence = 3;
  write();
  EXPECT_EQ(ReadCursor(file), std::nullopt);
  WriteFileWhole(file, "LSCURSOR");
  EXPECT_EQ(ReadCursor(file), std::nullopt);
}

}  // namespace
}  // namespace lockstep::protocol
