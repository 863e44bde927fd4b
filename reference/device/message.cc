#include "reference/device/message.h"

namespace lockstep::device {

std::string ToString(const MessageHeader& header) {
  const Edge& edge = header.edge;
  return std::to_string(header.elements) + " elements of step " + std::to_string(edge.step) + ", micro-batch " +
         std::to_string(edge.micro_batch) + ", stage " + std::to_string(edge.source_stage) + " to " +
         std::to_string(edge.target_stage) + (edge.direction == 0 ? " forward" : " backward");
}

std::string LinkCrossed(const MessageHeader& expected, const MessageHeader& got) {
  return "link crossed: expected " + ToString(expected) + ", got " + ToString(got);
}

}  // namespace lockstep::device
