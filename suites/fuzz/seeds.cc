// seeds DIR SOURCE: writes what the fuzzers start from, DIR/FUZZER/NAME, with the protocol's own writers and the
// suites' files.
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "harness/protocol/files.h"
#include "harness/protocol/manifest.h"
#include "harness/protocol/record.h"
#include "harness/schedule/file.h"
#include "harness/schedule/generate.h"
#include "harness/schedule/lower.h"
#include "suites/unit/protocol/samples.h"
#include "suites/unit/stalls_trace/torch_trace.h"

namespace lockstep::protocol {
namespace {

namespace fs = std::filesystem;

void WriteSafetensorsSeeds(const fs::path& folder) {
  const Slice slice{{4, 3}, {2, 0}, {2, 3}};
  WriteSafetensors(folder / "slice", {{"param/a", Tensor::Zeros(DType::kF32, slice.shape)}},
                   {{"param/a", SliceToMetadata(slice)}});
  std::map<std::string, Tensor> every_type;
  for (const char* name : {"F64", "F32", "F16", "BF16", "I64", "I32", "I16", "I8", "U64", "U32", "U16", "U8", "BOOL"}) {
    every_type[name] = Tensor::Zeros(*DTypeFromName(name), {1, 2});
  }
  WriteSafetensors(folder / "types", every_type, {{"form", "samples"}});
  WriteSafetensors(folder / "empty",
                   {{"scalar", Tensor::Zeros(DType::kF64, {})}, {"none", Tensor::Zeros(DType::kU8, {0})}});
}

void WriteJsonSeeds(const fs::path& folder, const fs::path& scratch) {
  const Request request = SmallRequest();
  const auto seed = [&](char kind, const std::string& name, const std::string& text) {
    WriteFileWhole(folder / (kind + ("_" + name)), kind + text);
  };
  const auto evidence = [&](const std::string& name) { return ReadTextFile(RankFolder(scratch, 0) / name); };
  seed('r', "request", RequestToJson(request).dump());
  seed('w', "workload", WorkloadToJson(request.workload).dump());
  seed('p', "plan", PlanToJson(request.plan).dump());
  seed('c', "capabilities", CapabilitiesToJson(Capabilities{}).dump());
  Record record;
  record.cases.emplace_back().checks.emplace_back().first_divergence = Divergence{};
  record.cases.back().ranks.emplace_back();
  seed('R', "record", RecordToJson(record).dump());
  EvidenceWriter writer(scratch, 0);
  writer.Write(SmallHello(request, 0));
  writer.Write(MicroBatchEvent{1, 0, {0, 1}, 5});
  writer.Write(StepEvent{1, 0.1, 0.7, 0.1, 30, 3, 2, 1});
  writer.Write(Done{1, {{{"parameters", 100}}, 120, 0}, 3, 2, 1, "gave up"});
  seed('h', "hello", evidence("hello.json"));
  seed('e', "events", evidence("events.jsonl"));
  seed('d', "done", evidence("done.json"));
  seed('t', "timeline", TimelineToText(SmallTimeline()));
  seed('s', "plan_text", "dp=2,pp=3,tp=4,v=2,m=5,schedule=gpipe,sp=true,zero=1,partition=2+1+1");
  seed('a', "actions", "0F0,1B12,3I4,3W4,0SEND_F1,1RECV_F1,1SEND_B1,0RECV_B1");
}

void WriteTomlSeeds(const fs::path& folder, const fs::path& source) {
  for (const char* root : {"suites/conformance/cases", "reference"}) {
    for (const auto& entry : fs::recursive_directory_iterator(source / root)) {
      if (entry.path().extension() != ".toml") continue;
      const fs::path name = entry.path().parent_path().filename().string() + "_" + entry.path().filename().string();
      fs::copy_file(entry.path(), folder / name, fs::copy_options::overwrite_existing);
    }
  }
  WriteFileWhole(folder / "plan",
                 "data = 2\npipeline = 3\npartition = [2, 1, 1]\nschedule = \"gpipe\"\noverlap = false\n");
}

// Every generator, small, with transfers and without; some for torch, and a header with everything in it.
void WriteScheduleSeeds(const fs::path& folder) {
  for (const schedule::Generator* generator : schedule::AllGenerators()) {
    schedule::Document document;
    document.schedule = schedule::Generate(*generator, {2, generator->min_chunks, 4}, "seeds");
    WriteFileWhole(folder / generator->name, schedule::ToText(document));
    document.schedule = schedule::WithTransfers(document.schedule);
    document.channels = schedule::Channels{schedule::ChannelKind::kBounded, 2};
    for (const schedule::CostField& field : schedule::CostFields()) {
      schedule::SetCost(field, "3", document.schedule.stages, "seeds", &document.costs);
    }
    WriteFileWhole(folder / (generator->name + "_costs"), schedule::ToText(document));
    if (generator->name != "dualpipe") {
      WriteFileWhole(folder / (generator->name + "_torch"), schedule::ToTorch(document.schedule, "seeds"));
    }
  }
  WriteFileWhole(folder / "whole_stages",
                 "0UNSHARD,0F0,0RESHARD,,0UNSHARD,0RECOMPUTE0,0I0,0W0,0REDUCE_GRAD,0RESHARD,0OPTIMIZER\n");
}

// A replica on the processor, one on a GPU, and one whose profiler was told of no steps.
void WriteTraceSeeds(const fs::path& folder) {
  using stalls::TorchTrace;
  TorchTrace replica(0, 1);
  for (std::int64_t step = 1; step <= 3; ++step) replica.Step(step, 100.0 * static_cast<double>(step), 40, 75);
  WriteFileWhole(folder / "replica", replica.Text());
  TorchTrace gpu(0, 1);
  gpu.Step(1, 0, 40, 75);
  for (std::int64_t i = 0; i < 4; ++i) {
    const auto at = static_cast<double>(10 * i + 6);
    gpu.Add("cuda_runtime", "cudaLaunchKernel", TorchTrace::kMain, at, at + 1, {{"correlation", i}});
    nlohmann::json arguments{{"correlation", i}};
    if (i == 2) {
      arguments["Collective name"] = "allreduce";
      arguments["Process Group Name"] = "0";
      arguments["Process Group Ranks"] = "[0, 1]";
    }
    gpu.Add("kernel", i == 2 ? "ncclDevKernel_AllReduce" : "gemm", 7, at + 2, at + 9, arguments);
  }
  WriteFileWhole(folder / "gpu", gpu.Text());
  TorchTrace untold;
  for (std::int64_t step = 0; step < 2; ++step) {
    const auto at = static_cast<double>(50 * step);
    untold.Op("aten::linear", at, at + 5, step).Backward(at + 10, at + 20, step).AllReduce(at + 21, at + 500, false);
    untold.Note("Optimizer.step#SGD.step", at + 30, at + 40);
  }
  WriteFileWhole(folder / "untold", untold.Text());
}

}  // namespace
}  // namespace lockstep::protocol

int main(int count, char** arguments) {
  if (count != 3) {
    std::fprintf(stderr, "usage: seeds FOLDER SOURCE\n");
    return 2;
  }
  const std::filesystem::path folder = arguments[1];
  for (const char* fuzzer : {"fuzz_safetensors", "fuzz_json", "fuzz_toml", "fuzz_schedule", "fuzz_trace", "scratch"}) {
    std::filesystem::create_directories(folder / fuzzer);
  }
  lockstep::protocol::WriteSafetensorsSeeds(folder / "fuzz_safetensors");
  lockstep::protocol::WriteJsonSeeds(folder / "fuzz_json", folder / "scratch");
  lockstep::protocol::WriteTomlSeeds(folder / "fuzz_toml", arguments[2]);
  lockstep::protocol::WriteScheduleSeeds(folder / "fuzz_schedule");
  lockstep::protocol::WriteTraceSeeds(folder / "fuzz_trace");
  return 0;
}
