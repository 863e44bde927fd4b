#include "reference/virtual_gpu/nccl/link.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace lockstep::virtual_gpu::nccl {
namespace {

// 0 where the variable is not set.
double Number(const char* variable, double least, double most) {
  const char* const text = std::getenv(variable);
  if (text == nullptr) return 0;
  double value = 0;
  const char* const end = text + std::strlen(text);
  const auto [stop, error] = std::from_chars(text, end, value);
  if (error == std::errc() && stop == end && value >= least && value <= most) return value;
  std::fprintf(stderr, "%s is '%s': a number from %g to %g is needed\n", variable, text, least, most);
  std::exit(2);
}

// Seconds of one collective as a ring: every rank sends to its neighbour, at the same time, `steps` times.
double Ring(const Link& link, double steps, double bytes_a_step) {
  return steps * (link.latency + bytes_a_step * link.seconds_per_byte);
}

}  // namespace

std::chrono::nanoseconds Link::Duration(std::span<const Description> operations, int ranks) const {
  const double others = ranks - 1;
  double seconds = 0, sent = 0, received = 0;
  bool messages = false;
  for (const Description& each : operations) {
    const double bytes = static_cast<double>(each.count) * static_cast<double>(SizeOfType(each.type));
    switch (each.kind) {
      case Kind::kAllReduce:
        seconds += Ring(*this, 2 * others, bytes / ranks);
        break;
      case Kind::kReduceScatter:
      case Kind::kAllGather:
        seconds += Ring(*this, others, bytes);  // counted by the rank's part
        break;
      case Kind::kBroadcast:
      case Kind::kReduce:
        seconds += others * latency + (others > 0 ? bytes * seconds_per_byte : 0);  // a chain, pipelined
        break;
      case Kind::kSend:
        sent += bytes, messages = true;
        break;
      case Kind::kReceive:
        received += bytes, messages = true;
        break;
    }
  }
  if (messages) seconds += latency + std::max(sent, received) * seconds_per_byte;
  return std::chrono::nanoseconds(std::llround(seconds * 1e9));
}

const Link& LinkOfEnvironment() {
  static const Link link = [] {
    const double speed = Number("LOCKSTEP_VIRTUAL_LINK_BYTES_PER_SECOND", 1, 1e15);
    const double latency = Number("LOCKSTEP_VIRTUAL_LINK_LATENCY_SECONDS", 0, 3600);
    return Link{speed > 0 ? 1 / speed : 0, latency};
  }();
  return link;
}

}  // namespace lockstep::virtual_gpu::nccl
