// Sums gradients over the ranks that hold the same parameters: replicas, tied copies, row shards, and pipeline ranks
// that hold the same stages.
//
// The gradient of the loss is already divided by the global number of valid targets, so a sum over replicas is the
// mean. Buckets are ranges of the arena; a bucket of regular gradients is reduced as soon as its last backward is done
// (when the plan overlaps), tied and partial ones at the end of the step. What nobody announced is reduced at the end
// too. The same buckets are reduced in either case, so overlap changes no byte.
#pragma once

#include <cstdint>
#include <vector>

#include "reference/trainer/gradients.h"

namespace lockstep::trainer {

class GradientReducer {
 public:
  GradientReducer(const RankContext& context, GradientArena& arena);
  virtual ~GradientReducer() = default;

  virtual void BeginStep();
  // Backward of the step's last micro-batch is done for these.
  virtual void Ready(const std::vector<LocalParameter*>& parameters);
  // Every gradient of this rank is what one device would have computed for its slice, on return.
  virtual void Finish();

 protected:
  struct Bucket {
    GradientKind kind = GradientKind::kRegular;
    bool included = true;
    std::int64_t begin = 0, size = 0;  // of the arena, floats
    std::vector<LocalParameter*> parameters;
    std::size_t outstanding = 0;
    bool launched = false;
    device::WorkHandle work;
  };
  virtual bool Includes(const LocalParameter&) const { return true; }  // in the sum over replicas
  virtual void SumReplicas(Bucket& bucket);                            // starts it
  virtual void SumTied(Bucket& bucket);
  virtual void SumRows(Bucket& bucket);
  virtual void SumMirrors(Bucket& bucket);
  void BuildBuckets();

  const RankContext& context_;
  GradientArena& arena_;
  std::vector<Bucket> buckets_;
};

}  // namespace lockstep::trainer
