// A communicator whose operations tell the rank's Activity what they are: waits, messages and collectives.
//
// Passes every call on. A group of one has no collectives worth telling, and is passed through.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "reference/device/communicator.h"
#include "reference/trainer/events/activity.h"

namespace lockstep::trainer {

struct WatchedGroup {
  std::uint8_t kind = 0;              // GroupKind
  const char* name = "";              // as in timeline.jsonl
  std::vector<std::int64_t> members;  // ranks of the world, by rank in the group
};

std::unique_ptr<device::Communicator> Watched(std::unique_ptr<device::Communicator> inner, Activity& activity,
                                              WatchedGroup group);

// As long as it lives, the cursor tells of a message that lies here and was asked of nobody.
class StrayWatch {
 public:
  StrayWatch(device::Communicator& world, Activity& activity);
  ~StrayWatch();
  StrayWatch(const StrayWatch&) = delete;
  StrayWatch& operator=(const StrayWatch&) = delete;

 private:
  device::Communicator& world_;
};

}  // namespace lockstep::trainer
