#include "harness/protocol/files.h"

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "harness/protocol/fields.h"
#include "suites/unit/protocol/support.h"

namespace lockstep::protocol {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(Json, SyntaxErrorsNameFileLineAndColumn) {
  EXPECT_THAT(Refusal([] { ParseJson("{\n  \"a\": ,\n}", "r.json"); }),
              AllOf(HasSubstr("r.json"), HasSubstr("line 2, column 8")));
  EXPECT_THAT(Refusal([] { ParseJson("", "r.json"); }), HasSubstr("r.json: not JSON"));
  EXPECT_THAT(Refusal([] { ParseJson("{} {}", "r.json"); }), HasSubstr("r.json: not JSON"));
  EXPECT_THAT(Refusal([] { ParseJson("[NaN]", "r.json"); }), HasSubstr("r.json: not JSON"));
  EXPECT_THAT(Refusal([] { ParseJson("[1e999]", "r.json"); }), HasSubstr("r.json: not JSON"));
}

TEST(Json, RefusesDuplicateKeysAtAnyDepth) {
  EXPECT_THAT(Refusal([] { ParseJson(R"([{"x": {"a": 1, "a": 2}}])", "r.json"); }),
              HasSubstr("r.json: a: the key stands twice"));
  EXPECT_NO_THROW(ParseJson(R"([{"a": {"a": 1}}, {"a": 2}])", "r.json"));
}

TEST(Json, RefusesNestingWithoutEnd) {
  EXPECT_NO_THROW(ParseJson(std::string(64, '[') + std::string(64, ']'), "r.json"));
  EXPECT_THAT(Refusal([] { ParseJson(std::string(65, '[') + std::string(65, ']'), "r.json"); }),
              HasSubstr("nested deeper"));
  EXPECT_THAT(Refusal([] { ParseJson(std::string(1'000'000, '['), "r.json"); }), HasSubstr("nested deeper"));
}

TEST(Toml, ArrivesAsJson) {
  const nlohmann::json value = ParseToml("a = 1\nb = [1.5, inf]\n[t]\nc = \"x\"\nd = true\n[[w]]\ne = 2\n", "w.toml");
  EXPECT_EQ(value,
            nlohmann::json::parse(R"({"a": 1, "b": [1.5, "Inf"], "t": {"c": "x", "d": true}, "w": [{"e": 2}]})"));
}

TEST(Toml, RefusalsNameFileAndLine) {
  EXPECT_THAT(Refusal([] { ParseToml("a = 1\nb = \n", "w.toml"); }), AllOf(HasSubstr("w.toml"), HasSubstr("line 2")));
  EXPECT_THAT(Refusal([] { ParseToml("a = 1\na = 2\n", "w.toml"); }), AllOf(HasSubstr("w.toml"), HasSubstr("line 2")));
  EXPECT_THAT(Refusal([] { ParseToml("a = 1979-05-27\n", "w.toml"); }), HasSubstr("w.toml:1: a date"));
}

TEST(Files, RefuseWhatIsTooLarge) {
  const Scratch folder;
  WriteFileWhole(folder / "f", "12345");
  EXPECT_EQ(ReadTextFile(folder / "f", 5), "12345");
  EXPECT_THAT(Refusal([&] { ReadTextFile(folder / "f", 4); }),
              AllOf(HasSubstr("/f: holds 5 bytes"), HasSubstr("at most 4")));
  EXPECT_THAT(Refusal([&] { ReadTextFile(folder / "absent"); }), HasSubstr("absent: no such file"));
  EXPECT_THAT(Refusal([&] { ReadTextFile("/dev/zero"); }), HasSubstr("not a regular file"));
}

TEST(Files, NonFiniteNumbersTravelAsStrings) {
  EXPECT_EQ(NumberToJson(NAN), "NaN");
  EXPECT_EQ(NumberToJson(-INFINITY), "-Inf");
  const nlohmann::json value = {{"a", NumberToJson(INFINITY)}, {"b", NumberToJson(0.1)}};
  Fields fields(value, "f");
  EXPECT_EQ(fields.Number("a"), INFINITY);
  EXPECT_EQ(fields.Number("b"), 0.1);
}

TEST(Sha256, GivesTheStandardsExamples) {
  EXPECT_EQ(Sha256(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  const Scratch folder;
  WriteFileWhole(folder / "f", std::string(1'000'000, 'a'));
  EXPECT_EQ(Sha256File(folder / "f"), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  EXPECT_THAT(Refusal([&] { Sha256File(folder / "absent"); }), HasSubstr("absent"));
}

TEST(Fields, RefusalsNameFilePathAndWhatWouldBeRight) {
  const nlohmann::json value = nlohmann::json::parse(R"({"plan": {"data": 0, "name": 3, "list": [1, "x"]}})");
  Fields file(value, "r.json");
  Fields plan = file.Object("plan");
  EXPECT_EQ(Refusal([&] { plan.Int("data", 1, 8); }), "r.json: plan.data: is 0; expected an integer from 1 to 8");
  EXPECT_EQ(Refusal([&] { plan.String("name"); }), "r.json: plan.name: is 3; expected a string");
  EXPECT_EQ(Refusal([&] { plan.Ints("list"); }), "r.json: plan.list: holds \"x\"; expected an array of integers");
  EXPECT_EQ(Refusal([&] { plan.String("absent"); }), "r.json: plan.absent: is missing; expected a value");
  EXPECT_THAT(Refusal([&] { file.String("plan"); }), HasSubstr("r.json: plan: is an object"));
}

TEST(Fields, IntegersMustBeIntegers) {
  const nlohmann::json value = nlohmann::json::parse(R"({"a": 1.0, "b": true, "c": 18446744073709551615, "d": null})");
  for (const char* key : {"a", "b", "c", "d"}) {
    EXPECT_THAT(Refusal([&] { Fields(value, "f").Int(key, 0, INT64_MAX); }), HasSubstr("expected an integer")) << key;
  }
}

TEST(Fields, UnknownKeysAreRefusedWithTheNearestRightOne) {
  const nlohmann::json value = {{"micro_batchs", 2}};
  Fields fields(value, "plan.toml");
  fields.Int("micro_batches", 1, 8, 1);
  fields.Int("data", 1, 8, 1);
  EXPECT_EQ(Refusal([&] { fields.Done(); }), "plan.toml: micro_batchs: unknown key; expected \"micro_batches\"");
}

TEST(Fields, ChoicesNameTheNearest) {
  const nlohmann::json value = {{"kind", "adam"}};
  EXPECT_THAT(Refusal([&] {
                Fields(value, "f").Choice("kind", {"sgd", "adamw"}, "sgd");
              }),
              HasSubstr("nearest: \"adamw\""));
}

TEST(Fields, ALineStaysALine) {
  const nlohmann::json value = {{"a\nb", 1}};
  EXPECT_THAT(Refusal([&] { Fields(value, "f").Done(); }), HasSubstr("a?b"));
  EXPECT_EQ(OneLine("\xff ü \xc3 \xe2\x82\x01€\x7f"), "? ü ? ??\?€?");
  EXPECT_LT(Refusal([&] { throw BadInput(std::string(100'000, 'x'), "y"); }).size(), 1000u);
}

TEST(Nearest, IsNearOrNothing) {
  EXPECT_EQ(Nearest("leraning_rate", {"momentum", "learning_rate"}), "learning_rate");
  EXPECT_EQ(Nearest("casue", {"check", "cause"}), "cause");
  EXPECT_EQ(Nearest("zzz", {"momentum", "learning_rate"}), "");
  EXPECT_EQ(Nearest(std::string(1'000'000, 'm'), {"momentum"}), "");
}

}  // namespace
}  // namespace lockstep::protocol
