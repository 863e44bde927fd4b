// Draws a simulated schedule: for a terminal, and as SVG. Time goes to the right, a row is a rank, a box is an
// operation with its micro-batch in it; what is empty is idle.
#pragma once

#include <cstdint>
#include <string>

#include "harness/schedule/boxes.h"

namespace lockstep::schedule {

struct Window {
  std::int64_t from = 0, to = 0;  // ticks; to = 0: to the end
};

struct TerminalOptions {
  bool color = false;         // otherwise boxes say their letter: F3, B3, I3, W3
  std::int64_t columns = 80;  // what is longer goes on below
  Window window;
};

// Throws BadInput where the drawing would have more than a million characters.
std::string DrawForTerminal(const Picture& picture, const TerminalOptions& options);
std::string DrawSvg(const Picture& picture, const Window& window);

}  // namespace lockstep::schedule
