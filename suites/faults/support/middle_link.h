// Faults of one link among several: the forward link out of stage 1.
#pragma once

#include <algorithm>

#include "harness/protocol/bad_input.h"
#include "suites/faults/replace.h"
#include "suites/faults/support/planted.h"

namespace lockstep::faults {

inline bool IsOfMiddleLink(const device::Edge& edge) { return edge.source_stage == 1 && edge.direction == 0; }

// Wrong, a ForwardingCommunicator, lets all messages pass but those of that link.
template <typename Wrong>
class ReplaceMiddleLink : public ReplaceGroup<trainer::GroupKind::kForwardLink, Wrong> {
 public:
  void EditRequest(protocol::Request& request, const protocol::Coordinates&) override {
    const std::vector<Target> messages = MessagesOf(request);
    if (std::any_of(messages.begin(), messages.end(), [](const Target& each) { return IsOfMiddleLink(each.edge); })) {
      return;
    }
    throw protocol::BadInput("--fault", "finds no link out of stage 1 in " + request.id,
                             "a plan whose stage 1 sends to another rank");
  }
};

}  // namespace lockstep::faults
