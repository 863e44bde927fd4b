// The groups of ranks that a plan makes of the world, each watched (events/watched_communicator.h).
//
// Links forward and backward are groups of their own, so that the order of messages in one direction never depends on
// the other. The tied group is the ranks of the first and of the last stage, where they share an embedding across
// ranks.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "harness/protocol/plan.h"
#include "reference/device/communicator.h"
#include "reference/trainer/wiring.h"

namespace lockstep::trainer {

class Activity;
class Seams;

enum class GroupKind { kWorld, kData, kTensor, kPipeline, kForwardLink, kBackwardLink, kTied, kMirror };

const char* NameOf(GroupKind kind);  // "data", ... as in timeline.jsonl

struct Groups {
  std::unique_ptr<device::Communicator> world;
  std::unique_ptr<device::Communicator> data;               // replicas of this rank's parameters
  std::unique_ptr<device::Communicator> tensor;             // shards of this stage
  std::unique_ptr<device::Communicator> pipeline;           // stages of this replica: host values
  std::unique_ptr<device::Communicator> forward, backward;  // the same ranks: activations, their gradients
  std::unique_ptr<device::Communicator> tied;               // size 1 unless this rank shares an embedding with another
  std::unique_ptr<device::Communicator> mirror;             // pipeline ranks that hold this one's stages too
  std::map<GroupKind, std::vector<std::int64_t>> members;   // ranks of the world in those of more than one
};

// Collective over `world`, which must outlive the groups. `tied`: the model's head is its embedding.
Groups MakeGroups(device::Communicator& world, const protocol::Plan& plan, const Wiring& wiring, bool tied,
                  Seams& seams, Activity& activity);

}  // namespace lockstep::trainer
