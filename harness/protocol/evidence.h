// What a trainer leaves: PROTOCOL.md, "Evidence". Written by trainers, read by the checks.
//
// evidence/rank_00000/
//   hello.json               first: who this rank is and what it is going to do (the effective plan)
//   events.jsonl             as it goes: one object a line (StepEvent, MicroBatchEvent)
//   step_000001.safetensors  the slices this rank holds
//   done.json                last, whole: steps done, memory peaks, times
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "harness/protocol/plan.h"
#include "harness/protocol/request.h"
#include "harness/protocol/safetensors.h"
#include "harness/protocol/tensor.h"
#include "harness/protocol/timeline.h"

namespace lockstep::protocol {

// What the rank really does; compared field by field with the request.
struct EffectivePlan {
  Plan plan;
  Coordinates at;  // of this rank
  Precision precision = Precision::kF32;
  OptimizerKind optimizer = OptimizerKind::kSgd;
  double clip_norm = 0;
  std::vector<std::int64_t> devices;  // of all ranks, in rank order
  // Stages that each pipeline rank really holds, as Schedule::placement; empty: not said.
  std::vector<std::vector<std::int64_t>> placement = {};
};

struct Hello {
  std::int64_t rank = 0, world_size = 1;
  std::int64_t pid = 0;
  std::string host;
  std::string device_kind;  // "host", "gpu", "virtual"
  std::string device_name;
  std::string trainer, version;
  std::map<std::string, std::string> libraries;  // name -> version
  EffectivePlan effective;
};

struct MicroBatchEvent {  // "event": "micro_batch"; every rank that ran its forward
  std::int64_t step = 0, micro_batch = 0;
  std::vector<std::int64_t> samples;  // global sample ids, in order
  std::int64_t valid_tokens = 0;      // valid targets among them
};

struct StepEvent {  // "event": "step"; every rank, at the end of each step
  std::int64_t step = 0;
  std::optional<double> loss;                                   // global mean; required of last-stage ranks
  std::optional<double> gradient_norm;                          // global, before clipping; required of all
  std::optional<double> learning_rate;                          // the one used; required of all
  std::int64_t valid_tokens = 0;                                // of the global batch, as used for the mean
  double wall_seconds = 0, busy_seconds = 0, idle_seconds = 0;  // idle: blocked on another rank
};

struct MemoryPeak {
  std::map<std::string, std::int64_t> categories;  // bytes at the category's own peak
  std::int64_t peak_bytes = 0;                     // largest sum over categories at one moment
  std::int64_t capacity_bytes = 0;                 // 0: no cap
};

struct Done {
  std::int64_t steps = 0;  // last step completed
  MemoryPeak memory;
  double wall_seconds = 0, busy_seconds = 0, idle_seconds = 0;  // sums over steps
  std::optional<std::string> error;                             // set when the rank gave up: one line
};

// Writes one rank's evidence. Every file is whole but events.jsonl, which grows by whole lines.
class EvidenceWriter {
 public:
  EvidenceWriter(const std::filesystem::path& request_folder, std::int64_t rank);
  void Write(const Hello& hello);
  void Write(const MicroBatchEvent& event);
  void Write(const StepEvent& event);
  void Write(const Done& done);
  void Event(const nlohmann::json& object);  // any further event; must have "event"
  // Tensors of one step by evidence name ("grad/wte.weight"), with the slice each is.
  void WriteStep(std::int64_t step, const std::map<std::string, Tensor>& tensors,
                 const std::map<std::string, Slice>& slices);

 private:
  std::filesystem::path folder_;
  std::ofstream events_;
};

// A slice as it stands in a step file's metadata, under the tensor's name: {"global_shape": [...], "offset": [...]}.
std::string SliceToMetadata(const Slice& slice);

struct RankEvidence {
  Hello hello;
  std::vector<MicroBatchEvent> micro_batches;
  std::vector<StepEvent> steps;
  std::optional<Done> done;
};

// The timelines of all ranks, also of a run that was cut short. BadInput where a rank left none.
std::vector<Timeline> ReadTimelines(const std::filesystem::path& request_folder, const Request& request);

// All ranks of one run. Reading is strict: a missing rank, a torn file, a wrong type is BadInput naming file and field.
class RunEvidence {
 public:
  static RunEvidence Read(const std::filesystem::path& request_folder, const Request& request);

  const Request& request() const { return request_; }
  const std::vector<RankEvidence>& ranks() const { return ranks_; }
  // The step file of one rank; BadInput when it is missing.
  const SafetensorsFile& Step(std::int64_t rank, std::int64_t step) const;
  // The slice that a rank holds of one evidence tensor; BadInput when its metadata is missing or inconsistent.
  Slice SliceOf(std::int64_t rank, std::int64_t step, const std::string& tensor) const;
  // The global tensor put together from all ranks' slices (F64). Elements that no rank holds are bad evidence:
  // BadInput names the tensor and the first uncovered element. Where several ranks hold one, the lowest rank's counts.
  std::vector<double> Gather(std::int64_t step, const std::string& tensor, const Shape& global_shape) const;
  // Names of all tensors that any rank wrote for this step.
  std::vector<std::string> TensorNames(std::int64_t step) const;
  // Global loss / norm / rate of a step, from the ranks that report it (they must agree bitwise; checks verify that).
  double Loss(std::int64_t step) const;
  std::vector<Timeline> Timelines() const { return ReadTimelines(folder_, request_); }

 private:
  std::filesystem::path folder_;
  Request request_;
  std::vector<RankEvidence> ranks_;
  mutable std::map<std::pair<std::int64_t, std::int64_t>, std::shared_ptr<SafetensorsFile>> files_;
};

std::filesystem::path RankFolder(const std::filesystem::path& request_folder,
                                 std::int64_t rank);  // evidence/rank_00000
std::string StepFileName(std::int64_t step);          // "step_000001.safetensors"

}  // namespace lockstep::protocol
