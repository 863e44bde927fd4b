// What leads a point-to-point message: how many elements come and which edge of the pipeline they belong to.
//
// Communicators send it beside the payload and compare it with what the receiver expects, so that crossed wires are
// told in the same words on every backend.
#pragma once

#include <cstdint>
#include <string>

#include "reference/device/communicator.h"

namespace lockstep::device {

struct MessageHeader {
  std::int64_t elements = 0;
  Edge edge;
  bool operator==(const MessageHeader&) const = default;
};

// "4 elements of step 9, micro-batch 3, stage 0 to 1 forward"
std::string ToString(const MessageHeader& header);

// "link crossed: expected ..., got ..."
std::string LinkCrossed(const MessageHeader& expected, const MessageHeader& got);

}  // namespace lockstep::device
