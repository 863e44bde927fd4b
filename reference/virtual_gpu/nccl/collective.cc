#include "reference/virtual_gpu/nccl/collective.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <utility>
#include <vector>

#include "reference/virtual_gpu/nccl/failure.h"
#include "reference/virtual_gpu/nccl/reduce.h"

namespace lockstep::virtual_gpu::nccl {
namespace {

// Where every rank adds all of it by itself, which takes one wait less: bytes read by all ranks together.
constexpr std::int64_t kAddedByAll = 256 << 10;

const char* At(const void* data, std::int64_t bytes) { return static_cast<const char*>(data) + bytes; }
char* At(void* data, std::int64_t bytes) { return static_cast<char*>(data) + bytes; }

void Copy(void* to, const void* from, std::int64_t bytes) {
  if (bytes > 0 && to != from) std::memcpy(to, from, static_cast<std::size_t>(bytes));
}

}  // namespace

Collective::Collective(Region& region, int rank, const Call& call, std::uint64_t& steps)
    : region_(region), rank_(rank), ranks_(region.ranks()), call_(call), steps_(steps) {
  const Kind kind = call.description.kind;
  size_ = SizeOfType(call.description.type);
  chunk_ = kChunk / size_ / (kind == Kind::kReduceScatter ? ranks_ : 1);  // a slot holds a piece for every rank
  chunks_ = std::max<std::int64_t>(1, (count() + chunk_ - 1) / chunk_);
  const bool small = count() * size_ <= kAddedByAll / ranks_ / ranks_;
  shared_ = (kind == Kind::kAllReduce || kind == Kind::kReduce) && !small;
  last_ = chunks_ + (shared_ ? 1 : 0);
}

bool Collective::Progress() {
  bool moved = false;
  while (!done_) {
    if (step_ >= 0) {
      const auto all = static_cast<std::uint64_t>(ranks_) * (steps_ + 1);
      if (region_.header().arrivals.load(std::memory_order_acquire) < all) return moved;
      if (step_ == 0) CheckAgreement();
      ++steps_;
    }
    ++step_;
    moved = true;
    Work();
    if (step_ == last_) {
      done_ = true;
    } else {
      Arrive();
    }
  }
  return moved;
}

Collective::Range Collective::ChunkAt(std::int64_t chunk) const {
  const std::int64_t begin = chunk * chunk_;
  return {begin, std::min(chunk_, count() - begin)};
}

Collective::Range Collective::Share(Range chunk) const {
  const std::int64_t begin = chunk.length * rank_ / ranks_, end = chunk.length * (rank_ + 1) / ranks_;
  return {begin, end - begin};
}

// Chunk c is copied in at step c and added or taken at c + 1; where the adding is shared, the sums are taken at c + 2.
void Collective::Work() {
  if (step_ == 0) region_.member(rank_).step[steps_ % 2] = call_.description;
  if (step_ < chunks_) CopyIn(ChunkAt(step_));
  if (step_ >= 1 && step_ <= chunks_) {
    const Range chunk = ChunkAt(step_ - 1);
    if (shared_) {
      const Range share = Share(chunk);
      ReduceFromSlots(share, region_.Result(steps_) + share.begin * size_);
    } else {
      Take(chunk);
    }
  }
  if (shared_ && step_ >= 2) CopyResult(ChunkAt(step_ - 2));
}

void Collective::CopyIn(Range chunk) {
  char* const slot = region_.Slot(rank_, steps_);
  const std::int64_t bytes = chunk.length * size_;
  if (call_.description.kind == Kind::kBroadcast && call_.description.peer != rank_) return;
  if (call_.description.kind != Kind::kReduceScatter) {
    Copy(slot, At(call_.send, chunk.begin * size_), bytes);
    return;
  }
  for (int rank = 0; rank < ranks_; ++rank) {
    Copy(slot + rank * bytes, At(call_.send, (rank * count() + chunk.begin) * size_), bytes);
  }
}

// `in_slot`: where in every rank's slot of the step before.
void Collective::ReduceFromSlots(Range in_slot, void* out) const {
  if (in_slot.length <= 0) return;
  std::vector<const void*> sources;
  for (int rank = 0; rank < ranks_; ++rank) sources.push_back(region_.Slot(rank, steps_ - 1) + in_slot.begin * size_);
  Reduce(call_.description.type, call_.description.reduction, in_slot.length, sources, out);
}

void Collective::Take(Range chunk) {
  const Description& is = call_.description;
  void* const out = At(call_.receive, chunk.begin * size_);
  switch (is.kind) {
    case Kind::kAllReduce:
      return ReduceFromSlots({0, chunk.length}, out);
    case Kind::kReduce:
      if (is.peer == rank_) ReduceFromSlots({0, chunk.length}, out);
      return;
    case Kind::kReduceScatter:
      return ReduceFromSlots({rank_ * chunk.length, chunk.length}, out);
    case Kind::kAllGather:
      for (int rank = 0; rank < ranks_; ++rank) {
        char* const part = At(call_.receive, (rank * count() + chunk.begin) * size_);
        if (rank == rank_ && part == At(call_.send, chunk.begin * size_)) continue;
        Copy(part, region_.Slot(rank, steps_ - 1), chunk.length * size_);
      }
      return;
    case Kind::kBroadcast:
      if (is.peer == rank_) {
        Copy(out, At(call_.send, chunk.begin * size_), chunk.length * size_);
      } else {
        Copy(out, region_.Slot(is.peer, steps_ - 1), chunk.length * size_);
      }
      return;
    default:
      return;
  }
}

void Collective::CopyResult(Range chunk) {
  if (call_.description.kind == Kind::kReduce && call_.description.peer != rank_) return;
  Copy(At(call_.receive, chunk.begin * size_), region_.Result(steps_ - 1), chunk.length * size_);
}

// The last to come wakes the others.
void Collective::Arrive() {
  const auto all = static_cast<std::uint64_t>(ranks_) * (steps_ + 1);
  if (region_.header().arrivals.fetch_add(1, std::memory_order_acq_rel) + 1 != all) return;
  for (int rank = 0; rank < ranks_; ++rank) {
    if (rank != rank_) region_.member(rank).operations.Ring();
  }
}

// The call of most ranks counts as the right one, of as many the lowest rank's.
void Collective::CheckAgreement() const {
  int same_as_first = 0;
  const auto called = [&](int rank) -> const Description& { return region_.member(rank).step[steps_ % 2]; };
  for (int rank = 0; rank < ranks_; ++rank) same_as_first += called(rank) == called(0);
  if (same_as_first == ranks_) return;
  int right = 0, most = 0;
  for (int rank = 0; rank < ranks_; ++rank) {
    int same = 0;
    for (int other = 0; other < ranks_; ++other) same += called(other) == called(rank);
    if (same > most) right = rank, most = same;
  }
  int wrong = 0;
  while (called(wrong) == called(right)) ++wrong;
  throw Failure{ncclInvalidUsage, "rank " + std::to_string(right) + " of " + std::to_string(ranks_) + " called " +
                                      Words(called(right)) + ", rank " + std::to_string(wrong) + " called " +
                                      Words(called(wrong))};
}

}  // namespace lockstep::virtual_gpu::nccl
