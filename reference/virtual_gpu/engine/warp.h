// Where the lanes of a warp meet: those of one mask at a time, several masks at once.
//
// A meeting is complete when every lane of its mask has arrived; the last one then works out what each gets, so that
// nobody reads what another may already overwrite. Knows lanes and fibers, not who runs them.
#pragma once

#include <array>
#include <cstdint>

#include "reference/virtual_gpu/engine/execution.h"
#include "reference/virtual_gpu/engine/fiber.h"

namespace lockstep::virtual_gpu {

const char* NameOf(WarpKind kind);  // "a shuffle", "__syncwarp"

struct Meeting {
  unsigned mask = 0, arrived = 0;
  WarpKind kind = WarpKind::kSync;
  Site site{};
  std::array<Fiber*, 32> lanes{};
  std::array<std::uint64_t, 32> values{};
  std::array<std::uint8_t, 32> sources{};

  // Sets every lane's Fiber::result. Aborts when a lane reads from one that is not here.
  void Conclude();
};

class Warp {
 public:
  void Begin(unsigned lanes);  // of a new block: how many of the 32 exist

  // Adds the calling lane's part; a complete meeting is concluded and returned, else null. Aborts on a wrong mask.
  Meeting* Arrive(Fiber* fiber, WarpKind kind, unsigned mask, std::uint64_t value, unsigned source, Site site);
  // The lane's thread has ended. Aborts when others wait for it.
  void Leave(unsigned lane);

  char order = 0;  // ThreadSanitizer's: what __syncwarp orders

 private:
  Meeting& Find(unsigned mask, Site site);

  static constexpr unsigned kMeetings = 16;  // as many disjoint masks of two lanes or more as there can be
  unsigned exist_ = 0, alive_ = 0, used_ = 0;
  std::array<Meeting, kMeetings> meetings_;
};

}  // namespace lockstep::virtual_gpu
