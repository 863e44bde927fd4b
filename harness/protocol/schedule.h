// A pipeline schedule as data: what each pipeline rank does, in order.
//
// Text form, one line a pipeline rank, actions separated by commas, in the spelling of
// torch.distributed.pipelining: STAGE KIND MICRO_BATCH, e.g. "0F0,0F1,0B0,0B1". Kinds: F forward, B full backward,
// I input gradient, W weight gradient, SEND_F, RECV_F, SEND_B, RECV_B. Whoever executes a schedule adds the
// transfers that an F or B between stages needs, unless the text already has them.
// Generators and the verifier live in harness/schedule; here is only what crosses the boundary to a trainer.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace lockstep::protocol {

enum class ActionKind {
  kForward,
  kBackward,
  kInputGradient,
  kWeightGradient,
  kSendForward,
  kReceiveForward,
  kSendBackward,
  kReceiveBackward
};

struct Action {
  std::int64_t stage = 0;
  ActionKind kind = ActionKind::kForward;
  std::int64_t micro_batch = 0;
  bool operator==(const Action&) const = default;
};

struct Schedule {
  std::string name;  // "1f1b"
  std::int64_t stages = 1;
  std::int64_t micro_batches = 1;
  std::vector<std::vector<Action>> ranks;  // [pipeline rank][position]
  bool operator==(const Schedule&) const = default;
};

std::string ToString(const Action& action);                             // "2F0", "1SEND_F3"
Action ParseAction(const std::string& text, const std::string& where);  // throws BadInput
std::string ToString(const std::vector<Action>& line);                  // "0F0,0F1,0B0"
std::vector<Action> ParseActions(const std::string& line, const std::string& where);

}  // namespace lockstep::protocol
