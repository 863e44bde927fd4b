// Schedules as files: Lockstep's own form, and the CSV of torch.distributed.pipelining.
//
// Both have one line a pipeline rank, from rank 0, its actions separated by commas (protocol/schedule.h). Ours has a
// header of `# key: value` lines above them, the first of which is "# lockstep schedule 1":
//
//   # lockstep schedule 1
//   # name: zb_v
//   # ranks: 2
//   # chunks: 2                  stages a rank holds, at most
//   # micro_batches: 4
//   # placement: 0 3, 1 2        each rank's stages; absent: stage s on rank s mod ranks
//   # channels: rendezvous       or unbounded, or bounded N; absent: must run on every kind
//   # forward: 2                 costs (costs.h), one number or one a stage; absent: the default
//   # input_gradient: 2 2 2 3
//   0F0,0F1,...
//
// A file without that header is torch's: ranks are rows, empty cells are its idle slots, and stages, placement and
// micro-batches follow from the actions. Whatever is read is well-formed; whether it is right is verify.h's question.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "harness/schedule/costs.h"
#include "harness/schedule/execution.h"

namespace lockstep::schedule {

struct Document {
  protocol::Schedule schedule;
  Costs costs;
  std::optional<Channels> channels;  // what it says it will be run on
  bool from_torch = false;
  bool operator==(const Document&) const = default;
};

Document ReadDocument(const std::filesystem::path& file);  // throws BadInput, naming file, line and cell
// `name` is what a schedule without a name gets; `where` names the file in messages.
Document ParseDocument(const std::string& text, const std::string& where, const std::string& name);

std::string ToText(const Document& document);  // Lockstep's form

// torch's CSV. Throws BadInput where torch has no such thing: a stage on several ranks, OPTIMIZER, RECOMPUTE.
std::string ToTorch(const protocol::Schedule& schedule, const std::string& where);

std::int64_t Chunks(const protocol::Schedule& schedule);  // the most stages that a rank holds

// "unbounded", "bounded 2", "rendezvous". Throws BadInput.
Channels ParseChannels(const std::string& text, const std::string& where);

// "2" or "2 3 4 4" (also with commas): one number or `stages`. Throws BadInput.
PerStage ParsePerStage(const std::string& text, std::int64_t stages, std::int64_t most, const std::string& where);

// Sets a field by name and refuses what can't be added up exactly. Throws BadInput.
void SetCost(const CostField& field, const std::string& text, std::int64_t stages, const std::string& where,
             Costs* costs);
void ValidateCosts(const Costs& costs, std::int64_t stages, const std::string& where);

}  // namespace lockstep::schedule
