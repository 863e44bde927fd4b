// A pipeline schedule as data: what each pipeline rank does, in order.
//
// Text form, one line a pipeline rank, actions separated by commas, in the spelling of torch.distributed.pipelining:
// STAGE KIND MICRO_BATCH, e.g. "0F0,0F1,0B0,0B1"; what concerns a whole stage has no micro-batch ("2REDUCE_GRAD"), and
// a forward and a backward that run fused, at once, are one cell: "(0F3;1B0)OVERLAP_F_B". Whoever executes a schedule
// adds the transfers that an F or B between stages needs, unless the text already has them.
// Generators, the verifier and files of schedules live in harness/schedule; here is only what crosses the boundary to
// a trainer.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace lockstep::protocol {

enum class ActionKind {
  kForward,          // F
  kBackward,         // B: input and weight gradient at once
  kInputGradient,    // I
  kWeightGradient,   // W
  kSendForward,      // SEND_F: this stage's output, to the next stage
  kReceiveForward,   // RECV_F
  kSendBackward,     // SEND_B: the gradient of this stage's input, to the stage before
  kReceiveBackward,  // RECV_B
  kRecompute,        // RECOMPUTE: the forward again, for its activations
  kAllReduce,        // REDUCE_GRAD: a whole stage's gradients, over those who hold it
  kGather,           // UNSHARD: a whole stage's parameters
  kReshard,          // RESHARD: lets go of them
  kOptimizer         // OPTIMIZER: a whole stage's update
};

inline constexpr std::int64_t kWholeStage = -1;  // the micro-batch of an action that has none

struct Action {
  std::int64_t stage = 0;
  ActionKind kind = ActionKind::kForward;
  std::int64_t micro_batch = 0;
  bool with_next = false;  // fused with the action that follows it; doing one after the other is right too
  bool operator==(const Action&) const = default;
};

struct Schedule {
  std::string name;  // "1f1b"
  std::int64_t stages = 1;
  std::int64_t micro_batches = 1;
  std::vector<std::vector<Action>> ranks;  // [pipeline rank][position]
  // The stages that each pipeline rank holds; empty: stage s stands on rank s mod ranks, and nowhere else. A stage that
  // stands on several ranks has its parameters on each; each of its micro-batches passes through one of them.
  std::vector<std::vector<std::int64_t>> placement = {};
  bool operator==(const Schedule&) const = default;
};

// The placement, spelt out where it is empty: the stages of each pipeline rank.
std::vector<std::vector<std::int64_t>> PlacementOf(const Schedule& schedule);
// Pipeline ranks that hold a stage, ascending.
std::vector<std::int64_t> RanksOfStage(const Schedule& schedule, std::int64_t stage);

bool IsOfMicroBatch(ActionKind kind);                                   // false for what concerns a whole stage
std::string ToString(const Action& action);                             // "2F0", "1SEND_F3", "0UNSHARD"
Action ParseAction(const std::string& text, const std::string& where);  // throws BadInput; no fused pair
std::string ToString(const std::vector<Action>& line);                  // "0F0,0F1,(0F2;0B0)OVERLAP_F_B"
std::vector<Action> ParseActions(const std::string& line, const std::string& where);

}  // namespace lockstep::protocol
