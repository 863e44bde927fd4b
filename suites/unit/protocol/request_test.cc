#include "harness/protocol/request.h"

#include <nlohmann/json.hpp>

#include "harness/protocol/files.h"
#include "suites/unit/protocol/support.h"

namespace lockstep::protocol {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

// SmallRequest() with one JSON value replaced.
std::string RefusalWith(const std::string& pointer, const json& value) {
  json request = RequestToJson(SmallRequest());
  request[json::json_pointer(pointer)] = value;
  return Refusal([&] { RequestFromJson(request, "request.json"); });
}

TEST(Request, SurvivesTheWayThroughAFile) {
  const Scratch folder;
  Request request = SmallRequest();
  request.evidence = {false, false, true, false, false, false, 3};
  request.delays = {{3, "host", 0.05}, {1, "F", 0.001, 2, 1}};
  request.checkpoint = {1, true, "saved", "../before", 1};
  request.schedule.placement = {{1}, {0}};
  WriteRequest(folder.path(), request);
  const Request read = ReadRequest(folder.path());
  EXPECT_EQ(read.id, request.id);
  EXPECT_EQ(read.workload, request.workload);
  EXPECT_EQ(read.plan, request.plan);
  EXPECT_EQ(read.schedule, request.schedule);
  EXPECT_EQ(read.evidence, request.evidence);
  EXPECT_EQ(read.checkpoint, request.checkpoint);
  EXPECT_EQ(read.delays, request.delays);
}

TEST(Request, SaysNothingOfWhatFewTrainersKnowUnlessItIsAsked) {
  const json value = RequestToJson(SmallRequest());
  EXPECT_FALSE(value.contains("delays"));
  EXPECT_FALSE(value["evidence"].contains("timeline"));
  EXPECT_TRUE(RequestFromJson(value, "request.json").evidence.timeline);
}

TEST(Request, RefusesADelayOfNobody) {
  const auto refusal = [](const json& delay) { return RefusalWith("/delays/0", delay); };
  EXPECT_THAT(refusal({{"rank", 4}, {"operation", "F"}, {"seconds", 1}}), HasSubstr("rank"));
  EXPECT_THAT(refusal({{"rank", 0}, {"operation", "sent"}, {"seconds", 1}}), HasSubstr("send"));
  EXPECT_THAT(refusal({{"rank", 0}, {"operation", "F"}, {"seconds", -1}}), HasSubstr("seconds"));
}

TEST(Request, EveryTruncationIsRefusedNamingTheFile) {
  const Scratch folder;
  WriteRequest(folder.path(), SmallRequest());
  const std::string whole = ReadTextFile(folder / "request.json");
  for (std::size_t size = 0; size + 2 < whole.size(); size += 7) {
    WriteFileWhole(folder / "request.json", whole.substr(0, size));
    EXPECT_THAT(Refusal([&] { ReadRequest(folder.path()); }), HasSubstr("request.json: ")) << size;
  }
}

TEST(Request, EveryKeyIsRequired) {
  const json whole = RequestToJson(SmallRequest());
  const json flat = whole.flatten();
  for (const auto& [pointer, value] : flat.items()) {
    if (pointer.find("/ranks/") != std::string::npos) continue;  // an element, not a key
    if (pointer == "/workload/model/mlp_width") continue;        // falls below with its default, which differs
    json request = whole;
    const json::json_pointer key(pointer);
    request[key.parent_pointer()].erase(key.back());
    EXPECT_THAT(Refusal([&] { RequestFromJson(request, "request.json"); }), HasSubstr("request.json: ")) << pointer;
  }
}

TEST(Request, EveryWrongTypeIsRefusedNamingTheField) {
  const json whole = RequestToJson(SmallRequest());
  const json flat = whole.flatten();
  for (const auto& [pointer, value] : flat.items()) {
    const json::json_pointer key(pointer);
    EXPECT_THAT(RefusalWith(pointer, json::object()), HasSubstr("request.json: ")) << pointer;
    if (pointer.find("/ranks/") == std::string::npos) {
      EXPECT_THAT(RefusalWith(pointer, json::object()), HasSubstr(key.back())) << pointer;
    }
  }
}

TEST(Request, RefusesWhatContradictsItself) {
  EXPECT_THAT(RefusalWith("/protocol", 2), HasSubstr("request.json: protocol: is 2"));
  EXPECT_THAT(RefusalWith("/plan/data", 6), HasSubstr("request.json: plan.micro_batches"));
  EXPECT_THAT(RefusalWith("/schedule/ranks", {"0F0,0B0"}), HasSubstr("request.json: schedule"));
  EXPECT_THAT(RefusalWith("/schedule/stages", 3), HasSubstr("request.json: schedule"));
  EXPECT_THAT(RefusalWith("/schedule/micro_batches", 3), HasSubstr("request.json: schedule"));
  EXPECT_THAT(RefusalWith("/schedule/ranks/1", "1F0,2B0"),
              HasSubstr("request.json: schedule.ranks[1]: 2B0 is outside"));
  EXPECT_THAT(RefusalWith("/schedule/ranks/0", "0F0,0Q0"), HasSubstr("request.json: schedule.ranks[0]: \"0Q0\""));
  for (const json& placement :
       {json{{0}}, json{{0}, {0}}, json{{0}, {2}}, json{{0}, {1, 1}}, json{{0}, {"1"}}, json{0, 1}, json("v")}) {
    EXPECT_THAT(RefusalWith("/schedule/placement", placement), HasSubstr("request.json: schedule.placement: "));
  }
  EXPECT_THAT(RefusalWith("/checkpoint/save_after", 1), HasSubstr("request.json: checkpoint.save_to"));
  EXPECT_THAT(RefusalWith("/checkpoint/resume_step", 1), HasSubstr("request.json: checkpoint.resume_step"));
  EXPECT_THAT(RefusalWith("/evidence/evry", 1),
              HasSubstr("request.json: evidence.evry: unknown key; expected \"every\""));
  EXPECT_THAT(RefusalWith("/workload/model/width", 5), HasSubstr("request.json: workload.model.width"));
}

}  // namespace
}  // namespace lockstep::protocol
