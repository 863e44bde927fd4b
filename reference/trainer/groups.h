// The groups of ranks that a plan makes of the world, each behind a clock that counts the time spent waiting.
//
// Each link between two stages' ranks is a group of its own, the sender its rank 0 and the receiver its rank 1, so that
// nothing but the sender's order says when a message can arrive: no receive that is posted early holds up another link.
// The tied group is the ranks of the first and of the last stage, where they share an embedding across ranks.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

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
  std::unique_ptr<device::Communicator> data;      // replicas of this rank's parameters
  std::unique_ptr<device::Communicator> tensor;    // shards of this stage
  std::unique_ptr<device::Communicator> pipeline;  // stages of this replica: host values
  std::unique_ptr<device::Communicator> tied;      // size 1 unless this rank shares an embedding with another
  std::unique_ptr<device::Communicator> mirror;    // pipeline ranks that hold the same stages; mostly this one alone
  std::vector<std::unique_ptr<device::Communicator>> links;  // as Wiring::links(); null where this rank is no end
};

inline constexpr int kLinkSource = 0, kLinkTarget = 1;  // ranks within a link's group

// Collective over `world`, which must outlive the groups. `tied`: the model's head is its embedding.
Groups MakeGroups(device::Communicator& world, const protocol::Plan& plan, const Wiring& wiring, bool tied,
                  Seams& seams, IdleClock& clock);

// `inner` with its waits counted on `clock`.
std::unique_ptr<device::Communicator> Timed(std::unique_ptr<device::Communicator> inner, IdleClock& clock);

}  // namespace lockstep::trainer
