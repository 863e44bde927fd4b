// Where in a kernel's source a synchronisation stands: what a diagnosis prints, and what tells two barriers apart.
#pragma once

namespace lockstep::virtual_gpu {

struct Site {
  const char* file;
  int line;
};

// As a default argument this is the caller's line, as std::source_location is (which clang 14 lacks).
constexpr Site Here(const char* file = __builtin_FILE(), int line = __builtin_LINE()) { return {file, line}; }

}  // namespace lockstep::virtual_gpu
