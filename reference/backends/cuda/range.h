// A named range on the host's time line, for profilers that read NVTX.
#pragma once

#include <nvtx3/nvToolsExt.h>

namespace lockstep::backends::cuda {

class Range {
 public:
  explicit Range(const char* name) { nvtxRangePushA(name); }
  ~Range() { nvtxRangePop(); }
  Range(const Range&) = delete;
  Range& operator=(const Range&) = delete;
};

}  // namespace lockstep::backends::cuda
