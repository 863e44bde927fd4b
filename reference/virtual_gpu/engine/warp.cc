#include "reference/virtual_gpu/engine/warp.h"

#include <algorithm>
#include <bit>

#include "reference/virtual_gpu/engine/report.h"
#include "reference/virtual_gpu/engine/thread_index.h"

namespace lockstep::virtual_gpu {
namespace {

unsigned Bit(unsigned lane) { return 1u << lane; }

template <typename Value, typename Combine>
std::uint64_t Fold(const Meeting& meeting, Combine combine) {
  unsigned rest = meeting.mask;
  auto total = static_cast<Value>(meeting.values[static_cast<unsigned>(std::countr_zero(rest))]);
  for (rest &= rest - 1; rest != 0; rest &= rest - 1) {
    total = combine(total, static_cast<Value>(meeting.values[static_cast<unsigned>(std::countr_zero(rest))]));
  }
  return static_cast<unsigned>(total);
}

std::uint64_t Reduced(const Meeting& meeting) {
  switch (meeting.kind) {
    case WarpKind::kSync:
    case WarpKind::kShuffle:
      return 0;
    case WarpKind::kBallot: {
      unsigned ballot = 0;
      for (unsigned lane = 0; lane < 32; ++lane) {
        if ((meeting.mask & Bit(lane)) != 0 && meeting.values[lane] != 0) ballot |= Bit(lane);
      }
      return ballot;
    }
    case WarpKind::kAddUnsigned:
      return Fold<unsigned>(meeting, [](unsigned x, unsigned y) { return x + y; });
    case WarpKind::kMinUnsigned:
      return Fold<unsigned>(meeting, [](unsigned x, unsigned y) { return std::min(x, y); });
    case WarpKind::kMaxUnsigned:
      return Fold<unsigned>(meeting, [](unsigned x, unsigned y) { return std::max(x, y); });
    case WarpKind::kMinSigned:
      return Fold<int>(meeting, [](int x, int y) { return std::min(x, y); });
    case WarpKind::kMaxSigned:
      return Fold<int>(meeting, [](int x, int y) { return std::max(x, y); });
    case WarpKind::kAnd:
      return Fold<unsigned>(meeting, [](unsigned x, unsigned y) { return x & y; });
    case WarpKind::kOr:
      return Fold<unsigned>(meeting, [](unsigned x, unsigned y) { return x | y; });
    case WarpKind::kXor:
      return Fold<unsigned>(meeting, [](unsigned x, unsigned y) { return x ^ y; });
  }
  return 0;
}

}  // namespace

const char* NameOf(WarpKind kind) {
  switch (kind) {
    case WarpKind::kSync:
      return "__syncwarp";
    case WarpKind::kShuffle:
      return "a shuffle";
    case WarpKind::kBallot:
      return "a vote";
    default:
      return "a warp reduction";
  }
}

void Meeting::Conclude() {
  if (kind == WarpKind::kShuffle) {
    for (unsigned lane = 0; lane < 32; ++lane) {
      if ((mask & Bit(lane)) == 0) continue;
      const unsigned source = sources[lane];
      if ((mask & Bit(source)) == 0) {
        threadIdx = lanes[lane]->index;  // the reader is to be named, not the last to arrive
        DieStanding("lane %u reads lane %u in a shuffle (%s:%d), and that lane is absent: the lanes here are 0x%08x",
                    lane, source, FileName(site), site.line, mask);
      }
      lanes[lane]->result = values[source];
    }
    return;
  }
  const std::uint64_t result = Reduced(*this);
  for (unsigned rest = mask; rest != 0; rest &= rest - 1) {
    lanes[static_cast<unsigned>(std::countr_zero(rest))]->result = result;
  }
}

void Warp::Begin(unsigned lanes) {
  exist_ = alive_ = lanes >= 32 ? ~0u : Bit(lanes) - 1;
  for (unsigned i = 0; i < used_; ++i) meetings_[i].arrived = meetings_[i].mask = 0;
  used_ = 0;
}

Meeting& Warp::Find(unsigned mask, Site site) {
  Meeting* unused = nullptr;
  for (unsigned i = 0; i < used_; ++i) {
    if (meetings_[i].mask == mask) return meetings_[i];
    if (unused == nullptr && meetings_[i].arrived == 0) unused = &meetings_[i];
  }
  if (unused == nullptr) {
    if (used_ == kMeetings) {
      DieStanding("more than %u masks wait in one warp at once (%s:%d)", kMeetings, FileName(site), site.line);
    }
    unused = &meetings_[used_++];
  }
  unused->mask = mask;
  return *unused;
}

Meeting* Warp::Arrive(Fiber* fiber, WarpKind kind, unsigned mask, std::uint64_t value, unsigned source, Site site) {
  const unsigned lane = fiber->thread % 32;
  if ((mask & Bit(lane)) == 0) {
    DieStanding("lane %u calls %s (%s:%d) with mask 0x%08x, which leaves it out", lane, NameOf(kind), FileName(site),
                site.line, mask);
  }
  if (const unsigned gone = mask & exist_ & ~alive_; gone != 0) {
    DieStanding("lane %u calls %s (%s:%d) with mask 0x%08x, but its lanes 0x%08x have ended", lane, NameOf(kind),
                FileName(site), site.line, mask, gone);
  }
  mask &= exist_;  // lanes past the block's end never existed
  Meeting& meeting = Find(mask, site);
  if (meeting.arrived == 0) {
    meeting.kind = kind;
    meeting.site = site;
  } else if (meeting.kind != kind) {
    DieStanding("lane %u calls %s (%s:%d) where other lanes of mask 0x%08x are in %s (%s:%d)", lane, NameOf(kind),
                FileName(site), site.line, mask, NameOf(meeting.kind), FileName(meeting.site), meeting.site.line);
  }
  meeting.lanes[lane] = fiber;
  meeting.values[lane] = value;
  meeting.sources[lane] = static_cast<std::uint8_t>(source % 32);
  meeting.arrived |= Bit(lane);
  if (meeting.arrived != mask) return nullptr;
  meeting.arrived = 0;
  meeting.Conclude();
  return &meeting;
}

void Warp::Leave(unsigned lane) {
  alive_ &= ~Bit(lane);
  for (unsigned i = 0; i < used_; ++i) {
    const Meeting& meeting = meetings_[i];
    if (meeting.arrived != 0 && (meeting.mask & Bit(lane)) != 0) {
      DieStanding("lane %u ends while lanes 0x%08x wait for it in %s (%s:%d) with mask 0x%08x", lane, meeting.arrived,
                  NameOf(meeting.kind), FileName(meeting.site), meeting.site.line, meeting.mask);
    }
  }
}

}  // namespace lockstep::virtual_gpu
