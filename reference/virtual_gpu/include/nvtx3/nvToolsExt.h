// NVTX ranges: accepted and dropped. No tool reads them on a virtual GPU.
#pragma once

#include <cstdint>

using nvtxRangeId_t = std::uint64_t;

inline int nvtxRangePushA(const char*) { return 0; }
inline int nvtxRangePop() { return 0; }
inline nvtxRangeId_t nvtxRangeStartA(const char*) { return 0; }
inline void nvtxRangeEnd(nvtxRangeId_t) {}
inline void nvtxMarkA(const char*) {}
inline void nvtxNameOsThreadA(std::uint32_t, const char*) {}
