#include "harness/protocol/manifest.h"

#include <nlohmann/json.hpp>

#include "harness/protocol/files.h"
#include "suites/unit/protocol/support.h"

namespace lockstep::protocol {
namespace {

using ::testing::HasSubstr;

constexpr const char* kManifest = R"(
name = "t"
summary = "a trainer"
protocol = 1
describe = ["{python}", "{manifest_dir}/trainer.py", "--describe"]
launch = ["mpirun", "-n", "{world_size}", "{bin}/t", "{requests}"]
requests_per_launch = 16
start_seconds = 60
setup = "ci/adapters"
[environment]
OMP_NUM_THREADS = "1"
[[waivers]]
case = "dp.uneven_tokens*"
check = "noise_ratio"
cause = "mean of means"
reason = "as it is"
)";

std::string RefusalAfter(const std::string& from, const std::string& to) {
  std::string text = kManifest;
  const std::size_t at = text.find(from);
  if (at == std::string::npos) throw std::logic_error("the test changes nothing");
  text.replace(at, from.size(), to);
  return Refusal([&] { ManifestFromJson(ParseToml(text, "trainer.toml"), "trainer.toml"); });
}

TEST(Manifest, IsReadFromItsFile) {
  const Scratch folder;
  WriteFileWhole(folder / "trainer.toml", kManifest);
  const Manifest manifest = ReadManifest(folder / "trainer.toml");
  EXPECT_EQ(manifest.file, folder / "trainer.toml");
  EXPECT_EQ(manifest.name, "t");
  EXPECT_EQ(manifest.launch.back(), "{requests}");
  EXPECT_EQ(manifest.requests_per_launch, 16);
  EXPECT_EQ(manifest.environment.at("OMP_NUM_THREADS"), "1");
  ASSERT_EQ(manifest.waivers.size(), 1u);
  EXPECT_EQ(manifest.waivers[0].cause, "mean of means");
}

TEST(Manifest, EveryManifestOfTheRepositoryIsRead) {
  int read = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(LOCKSTEP_SOURCE_DIR "/reference")) {
    if (entry.path().extension() != ".toml") continue;
    EXPECT_FALSE(ReadManifest(entry.path()).name.empty()) << entry.path();
    ++read;
  }
  EXPECT_GE(read, 2);
}

TEST(Manifest, RefusalsNameFileAndField) {
  EXPECT_THAT(RefusalAfter("protocol = 1", "protocol = 2"), HasSubstr("trainer.toml: protocol: is 2; expected 1"));
  EXPECT_THAT(RefusalAfter("name = \"t\"", ""), HasSubstr("trainer.toml: name: is missing"));
  EXPECT_THAT(RefusalAfter(", \"{requests}\"", ""), HasSubstr("trainer.toml: launch: has no {requests}"));
  EXPECT_THAT(RefusalAfter("\"{requests}\"", "\"--requests={requests}\""),
              HasSubstr("trainer.toml: launch: has no {requests}"));
  EXPECT_THAT(RefusalAfter("{world_size}", "{worldsize}"),
              HasSubstr("trainer.toml: launch: holds the unknown placeholder {worldsize}; expected {world_size}"));
  EXPECT_THAT(RefusalAfter("describe =", "decsribe ="), HasSubstr("trainer.toml: describe: is missing"));
  EXPECT_THAT(RefusalAfter("launch = [", "launch = [1, "), HasSubstr("trainer.toml"));
  EXPECT_THAT(RefusalAfter("setup =", "stup ="), HasSubstr("trainer.toml: stup: unknown key; expected \"setup\""));
  EXPECT_THAT(RefusalAfter("OMP_NUM_THREADS = \"1\"", "OMP_NUM_THREADS = 1"),
              HasSubstr("trainer.toml: environment.OMP_NUM_THREADS: is 1"));
  EXPECT_THAT(RefusalAfter("requests_per_launch = 16", "requests_per_launch = 0"),
              HasSubstr("trainer.toml: requests_per_launch: is 0"));
  EXPECT_THAT(RefusalAfter("start_seconds = 60", "start_seconds = nan"), HasSubstr("trainer.toml: start_seconds"));
  EXPECT_THAT(RefusalAfter("reason = \"as it is\"", ""), HasSubstr("trainer.toml: waivers[0].reason: is missing"));
  EXPECT_THAT(RefusalAfter("cause =", "causse ="),
              HasSubstr("trainer.toml: waivers[0].causse: unknown key; expected \"cause\""));
  EXPECT_THAT(RefusalAfter("setup =", "faults = [\"x\"]\nsetup ="),
              HasSubstr("trainer.toml: faults: and faulty_launch"));
  EXPECT_THAT(RefusalAfter("setup =", "faults = [\"x\"]\nfaulty_launch = [\"x\", \"{requests}\"]\nsetup ="),
              HasSubstr("trainer.toml: faulty_launch: has no {fault}"));
}

// A waiver that names no case, no cause or no reason would cover whatever fails.
TEST(Manifest, RefusesAWaiverThatCoversEverything) {
  for (const char* blank : {"\"\"", "\" \"", "\"\\t\\n\""}) {
    for (const auto& [key, words] :
         {std::pair{"case", "dp.uneven_tokens*"}, {"cause", "mean of means"}, {"reason", "as it is"}}) {
      const std::string from = std::string(key) + " = \"" + words + "\"";
      EXPECT_THAT(RefusalAfter(from, std::string(key) + " = " + blank),
                  HasSubstr("trainer.toml: waivers[0]." + std::string(key) + ": is blank; expected"));
    }
  }
  EXPECT_THAT(RefusalAfter("cause = \"mean of means\"\n", ""), HasSubstr("trainer.toml: waivers[0].cause: is missing"));
  EXPECT_THAT(RefusalAfter("case = \"dp.uneven_tokens*\"\n", ""),
              HasSubstr("trainer.toml: waivers[0].case: is missing"));
}

Capabilities AbleToAll() {
  Capabilities can;
  can.name = "t";
  can.version = "1";
  can.models = {"mlp", "gpt", "own:resnet"};
  can.optimizers = {"sgd", "momentum", "adamw"};
  can.precisions = {"fp64", "fp32", "bf16"};
  can.schedules = {"1f1b", "gpipe"};
  can.losses = {"squared_error", "cross_entropy"};
  can.data_forms = {"samples", "stream"};
  can.max_data = can.max_tensor = can.max_pipeline = can.max_chunks = can.max_micro_batches = 64;
  can.sequence_parallel = can.dropout = can.tied = can.clipping = can.checkpoint_whole = can.checkpoint_sharded = true;
  can.uneven_micro_batches = can.uneven_tensor_split = can.recompute = true;
  can.zero_stages = {0, 1};
  return can;
}

TEST(Capabilities, SurviveTheWayThroughJson) {
  const nlohmann::json value = CapabilitiesToJson(AbleToAll());
  EXPECT_EQ(CapabilitiesToJson(CapabilitiesFromJson(value, "describe")), value);
  nlohmann::json wrong = value;
  wrong["max_tensr"] = 1;
  EXPECT_THAT(Refusal([&] { CapabilitiesFromJson(wrong, "describe"); }),
              HasSubstr("describe: max_tensr: unknown key; expected \"max_tensor\""));
}

struct Lack {
  const char* word;  // of the reason
  void (*take)(Capabilities&);
};

TEST(Capabilities, EachLackIsNamedAndNothingElse) {
  Workload workload = SmallRequest().workload;
  workload.model.dropout = 0.1;
  workload.optimizer.clip_norm = 1;
  workload.model.heads = 4;
  workload.data.kind = DataKind::kFile;
  const Plan plan = ParsePlan("dp=2,pp=2,tp=3,v=2,m=2,schedule=gpipe,sp=true,zero=1,recompute=true");
  EXPECT_EQ(WhyUnsupported(AbleToAll(), workload, plan), "");
  const std::vector<Lack> lacks = {{"gpt", [](Capabilities& c) { c.models = {"mlp"}; }},
                                   {"cross_entropy", [](Capabilities& c) { c.losses = {}; }},
                                   {"sgd", [](Capabilities& c) { c.optimizers = {}; }},
                                   {"fp32", [](Capabilities& c) { c.precisions = {"fp64"}; }},
                                   {"gpipe", [](Capabilities& c) { c.schedules = {"1f1b"}; }},
                                   {"stream", [](Capabilities& c) { c.data_forms = {"samples"}; }},
                                   {"2 (at most 1)", [](Capabilities& c) { c.max_data = 1; }},
                                   {"3 (at most 2)", [](Capabilities& c) { c.max_tensor = 2; }},
                                   {"2 (at most 1)", [](Capabilities& c) { c.max_pipeline = 1; }},
                                   {"chunks", [](Capabilities& c) { c.max_chunks = 1; }},
                                   {"micro-batches 2", [](Capabilities& c) { c.max_micro_batches = 1; }},
                                   {"sequence", [](Capabilities& c) { c.sequence_parallel = false; }},
                                   {"dropout", [](Capabilities& c) { c.dropout = false; }},
                                   {"tied", [](Capabilities& c) { c.tied = false; }},
                                   {"clipping", [](Capabilities& c) { c.clipping = false; }},
                                   {"different size", [](Capabilities& c) { c.uneven_micro_batches = false; }},
                                   {"uneven tensor", [](Capabilities& c) { c.uneven_tensor_split = false; }},
                                   {"recompute", [](Capabilities& c) { c.recompute = false; }},
                                   {"ZeRO stage 1", [](Capabilities& c) { c.zero_stages = {0}; }}};
  for (const Lack& lack : lacks) {
    Capabilities can = AbleToAll();
    lack.take(can);
    const std::string reason = WhyUnsupported(can, workload, plan);
    const std::string word = lack.word == std::string("recompute") ? "recomputation" : lack.word;
    EXPECT_THAT(reason, HasSubstr(word));
  }
}

TEST(Capabilities, WhatIsNotAskedForIsNotMissed) {
  Capabilities can;
  can.models = {"gpt"};
  can.losses = {"cross_entropy"};
  can.optimizers = {"sgd"};
  can.precisions = {"fp32"};
  can.data_forms = {"samples"};
  can.tied = true;
  EXPECT_EQ(WhyUnsupported(can, SmallRequest().workload, Plan{}), "");
}

}  // namespace
}  // namespace lockstep::protocol
