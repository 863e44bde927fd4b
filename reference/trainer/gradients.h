// Memory of a rank's gradients: one run of fp32 in the order in which backward completes them, so that buckets for the
// data-parallel reduction are plain ranges.
//
// Three kinds follow each other: regular; partial (each tensor rank's is of its own rows); tied (two uses, here or on
// two pipeline ranks). The second use of a tied parameter on this rank has memory of its own. Nothing is cleared
// between steps: the first addition of a step overwrites.
#pragma once

#include <cstdint>
#include <vector>

#include "reference/trainer/loader.h"
#include "reference/trainer/parameters.h"

namespace lockstep::trainer {

enum class GradientKind { kRegular, kPartial, kTied };
GradientKind KindOf(const LocalParameter& parameter);

class GradientArena {
 public:
  // Sets LocalParameter::gradients of every parameter of the store.
  GradientArena(const RankContext& context, ParameterStore& store);

  struct Place {
    LocalParameter* parameter = nullptr;
    std::int64_t begin = 0, size = 0;  // floats; places start at cache lines, the gaps are zero
  };
  const std::vector<Place>& places() const { return places_; }
  float* data() const { return memory_.f32(); }

  void Reset();                                     // gradients of every use are 0, without touching memory
  void ZeroIfUntouched(LocalParameter& parameter);  // makes a gradient that nothing was added to a real zero

 private:
  const RankContext& context_;
  ParameterStore& store_;
  std::vector<Place> places_;
  device::Buffer memory_;
  std::vector<device::Buffer> second_uses_;
};

// When gradients start anew, and what happens around a micro-batch's backward.
class Accumulation {
 public:
  Accumulation(const RankContext& context, ParameterStore& store, GradientArena& arena)
      : context_(context), store_(store), arena_(arena) {}
  virtual ~Accumulation() = default;
  virtual void BeginStep() { arena_.Reset(); }
  virtual void BeginBackward(const MicroBatch&) {}
  virtual void EndBackward(const MicroBatch&) {}

 protected:
  const RankContext& context_;
  ParameterStore& store_;
  GradientArena& arena_;
};

}  // namespace lockstep::trainer
