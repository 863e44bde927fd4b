// The groups of ranks that a plan makes of the world, each behind a clock that counts the time spent waiting.
//
// Links forward and backward are groups of their own, so that the order of messages in one direction never depends on
// the other. The tied group is the ranks of the first and of the last stage, where they share an embedding across
// ranks.
#pragma once

#include <cstdint>
#include <memory>

#include "harness/protocol/plan.h"
#include "reference/device/communicator.h"
#include "reference/trainer/wiring.h"

namespace lockstep::trainer {

class Seams;

enum class GroupKind { kWorld, kData, kTensor, kPipeline, kForwardLink, kBackwardLink, kTied, kMirror };

// Seconds this rank was blocked on others, in waits and in collectives of host values.
struct IdleClock {
  double seconds = 0;
};

struct Groups {
  std::unique_ptr<device::Communicator> world;
  std::unique_ptr<device::Communicator> data;               // replicas of this rank's parameters
  std::unique_ptr<device::Communicator> tensor;             // shards of this stage
  std::unique_ptr<device::Communicator> pipeline;           // stages of this replica: host values
  std::unique_ptr<device::Communicator> forward, backward;  // the same ranks: activations, their gradients
  std::unique_ptr<device::Communicator> tied;               // size 1 unless this rank shares an embedding with another
  std::unique_ptr<device::Communicator> mirror;             // pipeline ranks that hold this one's stages too
};

// Collective over `world`, which must outlive the groups. `tied`: the model's head is its embedding.
Groups MakeGroups(device::Communicator& world, const protocol::Plan& plan, const Wiring& wiring, bool tied,
                  Seams& seams, IdleClock& clock);

// `inner` with its waits counted on `clock`.
std::unique_ptr<device::Communicator> Timed(std::unique_ptr<device::Communicator> inner, IdleClock& clock);

}  // namespace lockstep::trainer
