#include "reference/device/message.h"

namespace lockstep::device {

std::string ToString(const MessageHeader& header) {
  const Edge& edge = header.edge;
  return std::to_string(header.elements) + " elements of step " + std::to_string(edge.step) + ", micro-batch " +
         std::to_string(edge.micro_batch) + ", stage " + std::to_string(edge.source_stage) + " to " +
         std::to_string(edge.target_stage) + (edge.direction == 0 ? " forward" : " backward");
}

Wrong Compare(const MessageHeader& expected, const MessageHeader& got) {
  const Edge &a = expected.edge, &b = got.edge;
  if (expected == got) return Wrong::kNothing;
  if (a.source_stage != b.source_stage || a.target_stage != b.target_stage || a.direction != b.direction) {
    return Wrong::kCrossed;
  }
  return a == b ? Wrong::kLength : Wrong::kOtherMicroBatch;
}

std::string WordsOf(Wrong wrong, const MessageHeader& expected, const MessageHeader& got) {
  const std::string kind = wrong == Wrong::kLength ? "mismatch" : "link crossed";
  return kind + ": expected " + ToString(expected) + ", got " + ToString(got);
}

std::string OutOfOrder(const MessageHeader& expected, const MessageHeader& got) {
  return "out of order: expected " + ToString(expected) + ", got " + ToString(got) + " before it";
}

std::string LinkMissing(const MessageHeader& expected, const MessageHeader& got) {
  return "link missing: expected " + ToString(expected) + ", got " + ToString(got) + " and nothing of it after that";
}

}  // namespace lockstep::device
