#include "reference/virtual_gpu/engine/execution.h"

#include "reference/virtual_gpu/engine/block_runner.h"
#include "reference/virtual_gpu/engine/report.h"

namespace lockstep::virtual_gpu {
namespace {

BlockRunner& Running(const char* what) {
  BlockRunner* const runner = BlockRunner::Current();
  if (runner == nullptr) Die("%s was called outside a kernel", what);
  return *runner;
}

}  // namespace

int MeetBlock(BarrierKind kind, int predicate, Site site) {
  return Running("__syncthreads").MeetBlock(kind, predicate, site);
}

std::uint64_t MeetWarp(WarpKind kind, unsigned mask, std::uint64_t value, unsigned source, Site site) {
  return Running("a warp operation").MeetWarp(kind, mask, value, source, site);
}

bool InKernel() { return BlockRunner::Current() != nullptr; }

void* DynamicShared() { return Running("DynamicShared").shared(); }

void MemoryFence() { Running("__threadfence").Fence(); }

void Trap(const char* what, Site site) { DieStanding("%s (%s:%d)", what, FileName(site), site.line); }

}  // namespace lockstep::virtual_gpu
