#include "reference/virtual_gpu/nccl/region.h"

#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>

namespace lockstep::virtual_gpu::nccl {
namespace {

constexpr std::size_t kPage = 4096;

std::size_t RoundUp(std::size_t bytes) { return (bytes + kPage - 1) / kPage * kPage; }

// Where each part begins, for n ranks.
std::size_t Members() { return RoundUp(sizeof(Header)); }
std::size_t Slots(std::size_t n) { return RoundUp(Members() + n * sizeof(Member)); }
std::size_t Results(std::size_t n) { return Slots(n) + n * 2 * kChunk; }
std::size_t Lanes(std::size_t n) { return Results(n) + 2 * kChunk; }

}  // namespace

std::size_t Region::BytesFor(int ranks) {
  const auto n = static_cast<std::size_t>(ranks);
  return Lanes(n) + n * n * sizeof(Lane);
}

Region::Region(int descriptor, int ranks) : ranks_(ranks) {
  void* const base = mmap(nullptr, BytesFor(ranks), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, descriptor, 0);
  close(descriptor);
  if (base != MAP_FAILED) base_ = static_cast<char*>(base);
}

Region::~Region() {
  if (base_ != nullptr) munmap(base_, BytesFor(ranks_));
}

Member& Region::member(int rank) const { return reinterpret_cast<Member*>(base_ + Members())[rank]; }

char* Region::Slot(int rank, std::uint64_t step) const {
  const auto n = static_cast<std::size_t>(ranks_);
  return base_ + Slots(n) + (static_cast<std::size_t>(rank) * 2 + step % 2) * kChunk;
}

char* Region::Result(std::uint64_t step) const {
  return base_ + Results(static_cast<std::size_t>(ranks_)) + step % 2 * kChunk;
}

Lane& Region::lane(int from, int to) const {
  const auto n = static_cast<std::size_t>(ranks_);
  const std::size_t index = static_cast<std::size_t>(from) * n + static_cast<std::size_t>(to);
  return *reinterpret_cast<Lane*>(base_ + Lanes(n) + index * sizeof(Lane));
}

Failure Region::Record(const Failure& failure) {
  FailureRecord& record = header().failure;
  std::uint32_t none = FailureRecord::kNone;
  if (record.state.compare_exchange_strong(none, FailureRecord::kBeingWritten)) {
    record.result = failure.result;
    std::snprintf(record.text, sizeof record.text, "%s", failure.text.c_str());
    record.state.store(FailureRecord::kWritten, std::memory_order_release);
    RingAll();
    return failure;
  }
  // Another rank is writing; one that was killed meanwhile never ends, and then our own words have to do.
  for (int i = 0; i < 1000 && record.state.load(std::memory_order_acquire) != FailureRecord::kWritten; ++i) {
    sched_yield();
  }
  if (record.state.load(std::memory_order_acquire) != FailureRecord::kWritten) return failure;
  return {static_cast<ncclResult_t>(record.result), record.text};
}

void Region::RingAll() {
  for (int rank = 0; rank < ranks_; ++rank) {
    member(rank).operations.Ring();
    member(rank).hosts.Ring();
  }
}

}  // namespace lockstep::virtual_gpu::nccl
