// What every fuzzer demands of a reader: it returns, or throws a BadInput of one line. Anything else ends the process.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>

#include "harness/protocol/bad_input.h"

namespace lockstep::fuzz {

inline void Demand(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "the fuzzer's demand does not hold: %s\n", what);
  std::abort();
}

// True where `read` returned. Exceptions of other types leave, and libFuzzer reports them.
template <typename Read>
bool ReturnsOrRefuses(Read read) {
  try {
    read();
    return true;
  } catch (const protocol::BadInput& refusal) {
    const std::string line = refusal.what();
    Demand(!line.empty() && line.find('\n') == std::string::npos, "a refusal is one line");
    return false;
  }
}

}  // namespace lockstep::fuzz
