#include "reference/mpi/collectives.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <numeric>

namespace lockstep::mpi {
namespace {

using device::Reduction;

constexpr std::int64_t kChunk = std::int64_t{1} << 16;    // elements
constexpr std::int64_t kLongest = std::int64_t{1} << 28;  // elements a message: below MPI's 2 GiB

std::int64_t Bytes(std::int64_t elements) { return elements * static_cast<std::int64_t>(sizeof(float)); }

void SendFloats(Operation& operation, const float* x, std::int64_t n, int peer, int tag) {
  for (std::int64_t at = 0; at < n; at += kLongest) {
    operation.Send(x + at, Bytes(std::min(kLongest, n - at)), peer, tag);
  }
}
void ReceiveFloats(Operation& operation, float* x, std::int64_t n, int peer, int tag) {
  for (std::int64_t at = 0; at < n; at += kLongest) {
    operation.Receive(x + at, Bytes(std::min(kLongest, n - at)), peer, tag);
  }
}

std::vector<std::int64_t> Offsets(std::span<const std::int64_t> counts) {
  std::vector<std::int64_t> offsets(counts.size());
  std::exclusive_scan(counts.begin(), counts.end(), offsets.begin(), std::int64_t{0});
  return offsets;
}

// out[i] = reduction over ranks, in rank order, of sources[rank][i]; out may be one of the sources.
void Reduce(Reduction reduction, std::int64_t n, const std::vector<const float*>& sources, float* out) {
  constexpr std::int64_t kBlock = 1024;
  float sums[kBlock];
  for (std::int64_t begin = 0; begin < n; begin += kBlock) {
    const std::int64_t size = std::min(kBlock, n - begin);
    std::copy_n(sources[0] + begin, size, sums);
    for (std::size_t rank = 1; rank < sources.size(); ++rank) {
      const float* const x = sources[rank] + begin;
      if (reduction == Reduction::kSum) {
#pragma omp simd
        for (std::int64_t i = 0; i < size; ++i) sums[i] += x[i];
      } else {
#pragma omp simd
        for (std::int64_t i = 0; i < size; ++i) sums[i] = sums[i] != sums[i] || sums[i] > x[i] ? sums[i] : x[i];
      }
    }
    std::copy_n(sums, size, out + begin);
  }
}

// One reduction under way. Chunk c of rank r's part is elements [c kChunk, (c + 1) kChunk) of it.
class ChunkedReduction {
 public:
  ChunkedReduction(const Members& members, ReductionPlan plan)
      : members_(members), plan_(std::move(plan)), offsets_(Offsets(plan_.counts)) {
    const std::int64_t most = *std::max_element(plan_.counts.begin(), plan_.counts.end());
    chunks_ = (most + kChunk - 1) / kChunk;
    const std::int64_t mine = std::min(kChunk, Mine());
    for (auto& half : arrived_) half.resize(static_cast<std::size_t>(mine * (members_.size() - 1)));
  }

  std::int64_t chunks() const { return chunks_; }

  // Sends every other rank its part of chunk c, and starts to receive theirs of ours.
  void Exchange(Operation& operation, std::int64_t c) {
    for (int r = 0; r < members_.size(); ++r) {
      if (r == members_.rank || c >= chunks_) continue;
      ReceiveFloats(operation, Arrived(c, r), Length(c, members_.rank), members_.world[r], members_.tag);
    }
    for (int shift = 1; shift < members_.size() && c < chunks_; ++shift) {
      const int r = (members_.rank + shift) % members_.size();
      SendFloats(operation, plan_.whole + offsets_[r] + c * kChunk, Length(c, r), members_.world[r], members_.tag);
    }
  }

  // Reduces chunk c of our part; with `everywhere`, sends it to all and starts to receive theirs.
  void Finish(Operation& operation, std::int64_t c) {
    if (c < 0) return;
    const std::int64_t n = Length(c, members_.rank);
    float* const result = plan_.part + c * kChunk;
    if (n > 0) {
      std::vector<const float*> sources;
      for (int r = 0; r < members_.size(); ++r) {
        sources.push_back(r == members_.rank ? plan_.whole + offsets_[r] + c * kChunk : Arrived(c, r));
      }
      Reduce(plan_.reduction, n, sources, result);
    }
    if (plan_.everywhere == nullptr) return;
    for (int r = 0; r < members_.size(); ++r) {
      if (r == members_.rank) continue;
      ReceiveFloats(operation, plan_.everywhere + offsets_[r] + c * kChunk, Length(c, r), members_.world[r],
                    members_.tag);
    }
    for (int shift = 1; shift < members_.size(); ++shift) {
      SendFloats(operation, result, n, members_.world[(members_.rank + shift) % members_.size()], members_.tag);
    }
  }

 private:
  std::int64_t Mine() const { return plan_.counts[members_.rank]; }
  std::int64_t Length(std::int64_t c, int r) const {
    return std::clamp<std::int64_t>(plan_.counts[r] - c * kChunk, 0, kChunk);
  }
  float* Arrived(std::int64_t c, int r) {
    const std::int64_t slot = r < members_.rank ? r : r - 1;
    return arrived_[c % 2].data() + slot * std::min(kChunk, Mine());
  }

  Members members_;
  ReductionPlan plan_;
  std::vector<std::int64_t> offsets_;
  std::int64_t chunks_ = 0;
  std::vector<float> arrived_[2];  // chunk c in half c % 2; a row a peer
};

}  // namespace

void AddReduction(const Members& members, ReductionPlan plan, Operation& operation) {
  const auto state = std::make_shared<ChunkedReduction>(members, std::move(plan));
  for (std::int64_t c = 0; c <= state->chunks(); ++c) {
    operation.Then([state, c](Operation& running) {
      state->Exchange(running, c);
      state->Finish(running, c - 1);
    });
  }
}

void AddAllGather(const Members& members, std::span<const std::int64_t> counts, const float* part, float* whole,
                  Operation& operation) {
  const std::vector<std::int64_t> lengths(counts.begin(), counts.end());
  operation.Then([members, lengths, part, whole](Operation& running) {
    const std::vector<std::int64_t> offsets = Offsets(lengths);
    const std::int64_t mine = lengths[members.rank];
    for (int r = 0; r < members.size(); ++r) {
      if (r != members.rank) ReceiveFloats(running, whole + offsets[r], lengths[r], members.world[r], members.tag);
    }
    for (int shift = 1; shift < members.size(); ++shift) {
      const int r = (members.rank + shift) % members.size();
      SendFloats(running, part, mine, members.world[r], members.tag);
    }
    if (mine > 0 && part != whole + offsets[members.rank]) {
      std::memmove(whole + offsets[members.rank], part, static_cast<std::size_t>(Bytes(mine)));
    }
  });
}

// A binomial tree: with v the rank counted from the root, v gets from v less its lowest set bit and gives to v + bit
// for every lower bit.
void AddBroadcast(const Members& members, std::int64_t n, float* x, int root, Operation& operation) {
  const int size = members.size();
  const int from_root = (members.rank - root + size) % size;
  const auto world = [members, root, size](int v) { return members.world[(v + root) % size]; };
  int bit = 1;
  while (bit < size && (from_root & bit) == 0) bit *= 2;
  if (from_root != 0) {
    operation.Then(
        [=, tag = members.tag](Operation& running) { ReceiveFloats(running, x, n, world(from_root - bit), tag); });
  }
  operation.Then([=, tag = members.tag](Operation& running) {
    for (int lower = bit / 2; lower > 0; lower /= 2) {
      if (from_root + lower < size) SendFloats(running, x, n, world(from_root + lower), tag);
    }
  });
}

namespace {

// A first message of fixed size tells the length and holds what fits; a second one the rest. Host values are short.
struct First {
  std::int64_t length = 0;
  char bytes[248] = {};
};

}  // namespace

void AddGatherOfBytes(const Members& members, const std::string& mine, std::vector<std::string>& all,
                      Operation& operation) {
  const auto out = std::make_shared<First>();
  const auto in = std::make_shared<std::vector<First>>(members.world.size());
  operation.Then([=, &mine](Operation& running) {
    out->length = static_cast<std::int64_t>(mine.size());
    mine.copy(out->bytes, sizeof out->bytes);
    for (int r = 0; r < members.size(); ++r) {
      if (r == members.rank) continue;
      running.Receive(&(*in)[r], sizeof(First), members.world[r], members.tag);
      running.Send(out.get(), sizeof(First), members.world[r], members.tag);
    }
  });
  operation.Then([=, &mine, &all](Operation& running) {
    constexpr std::int64_t kInFirst = sizeof(First::bytes);
    all.assign(members.world.size(), "");
    const std::int64_t rest = static_cast<std::int64_t>(mine.size()) - kInFirst;
    for (int r = 0; r < members.size(); ++r) {
      if (r == members.rank) {
        all[r] = mine;
        continue;
      }
      const First& first = (*in)[r];
      all[r].resize(static_cast<std::size_t>(first.length));
      std::copy_n(first.bytes, std::min(first.length, kInFirst), all[r].data());
      const std::int64_t theirs = first.length - kInFirst;
      if (theirs > 0) running.Receive(all[r].data() + kInFirst, theirs, members.world[r], members.tag);
      if (rest > 0) running.Send(mine.data() + kInFirst, rest, members.world[r], members.tag);
    }
  });
}

}  // namespace lockstep::mpi
