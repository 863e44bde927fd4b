// What a trainer is asked to do: workload, plan, schedule, and which evidence to leave. See PROTOCOL.md, "Request".
//
// A request is a folder:
//   request.json           workload, plan, schedule, evidence, checkpoint
//   parameters.safetensors initial parameters by canonical name, F64 (rounded once to the compute type by the trainer)
//   data.safetensors       the data set, and `order`: which samples each step takes
//   evidence/              written by the trainer: rank_00000/...
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "harness/protocol/delay.h"
#include "harness/protocol/plan.h"
#include "harness/protocol/schedule.h"
#include "harness/protocol/tensor.h"
#include "harness/protocol/workload.h"

namespace lockstep::protocol {

inline constexpr int kProtocolVersion = 1;

// Which tensors each rank writes into step_NNNNNN.safetensors. step_000000 holds parameters (and state) as loaded.
struct EvidenceWanted {
  bool gradients = true;          // grad/NAME: reduced, before clipping
  bool clipped_gradients = true;  // clipped/NAME: as the optimizer gets them
  bool parameters = true;         // param/NAME: after the update; of step 0 as loaded
  bool optimizer_state = true;    // state/NAME/STATE: after the update
  bool ledger = true;             // "micro_batch" events
  bool timeline = true;           // timeline.jsonl; in the file only where it is false
  std::int64_t every = 1;         // tensors of steps s with s % every == 0 (and step 0)
  bool operator==(const EvidenceWanted&) const = default;
};

struct CheckpointWanted {
  std::int64_t save_after = 0;   // step after which to save; 0: don't
  bool sharded = false;          // one file a rank, or one file whole
  std::string save_to;           // folder, relative to the request's
  std::string resume_from;       // folder of a checkpoint, relative; empty: from the start
  std::int64_t resume_step = 0;  // its step: training goes on with resume_step + 1
  bool operator==(const CheckpointWanted&) const = default;
};

struct Request {
  std::string id;  // names the run in messages
  Workload workload;
  Plan plan;
  Schedule schedule;  // for plan.pipeline > 1; one rank's otherwise too
  EvidenceWanted evidence;
  CheckpointWanted checkpoint;
  std::vector<Delay> delays = {};  // in the file only where there are any
};

nlohmann::json RequestToJson(const Request& request);
Request RequestFromJson(const nlohmann::json& value, const std::string& where);  // throws BadInput
Request ReadRequest(const std::filesystem::path& folder);
void WriteRequest(const std::filesystem::path& folder, const Request& request);  // request.json alone

// --- The data set and the batches in it -------------------------------------------------------------------------

// data.safetensors, form "samples":
//   mlp: inputs (N, D_0) F64; targets (N, D_L) F64 for squared error, or (N) I32 classes, -1 = not valid;
//        valid (N) U8 optional with squared error
//   gpt: inputs (N, T) I32 tokens; targets (N, T) I32 tokens, -1 = not valid
// form "stream" (gpt): stream (M) U8, U16 or I32; sample i is stream[i T .. i T + T), its targets one further on.
// order (steps, global_batch) I64: sample ids of each step's global batch; a row may end in -1 entries (smaller batch).
// Metadata: form = "samples" or "stream".

// Which positions of a step's global batch (0 .. size) go to one replica and micro-batch: Split() over replicas, then
// Split() of the replica's run over micro-batches.
Run MicroBatchRun(std::int64_t batch_size, const Plan& plan, std::int64_t data_rank, std::int64_t micro_batch);

}  // namespace lockstep::protocol
