// What leads a point-to-point message: how many elements come and which edge of the pipeline they belong to.
//
// Communicators send it beside the payload and compare it with what the receiver expects, so that crossed wires are
// told in the same words on every backend: protocol::KindInWords reads them.
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

// What is wrong where another message comes than the one expected. An edge between other stages or in the other
// direction is a crossed link, one of another length a mismatch; one of another micro-batch or step has been overtaken,
// or is missing: who sees it looks at what follows.
enum class Wrong { kNothing, kCrossed, kLength, kOtherMicroBatch };
Wrong Compare(const MessageHeader& expected, const MessageHeader& got);

// "link crossed: expected ..., got ...", "mismatch: expected ..., got ..."
std::string WordsOf(Wrong wrong, const MessageHeader& expected, const MessageHeader& got);
std::string OutOfOrder(const MessageHeader& expected, const MessageHeader& got);   // it came after the other
std::string LinkMissing(const MessageHeader& expected, const MessageHeader& got);  // it did not follow

}  // namespace lockstep::device
