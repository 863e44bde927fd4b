// The only place where a bound is computed. Every bound is derived here in words, from the unit round-off of the type
// and from the noise that the trainer's own single run shows; no check has a number of its own.
//
// T, the ratio to inherent noise (numerics.md), for one tensor and step:
//
//   R = |x_candidate - x_64| / noise,   noise = max(|x_single - x_64|, floor),   demanded: R <= kTau
//
// The single run's noise is one draw. For a tensor of many elements it is a good estimate of the noise; for one of few
// elements it can be small by chance, and a right candidate would then look wrong. The floor stands for that:
//   u |x_64|             a result can't be better than its type;
//   typical |x_64|       the median over the step's tensors of the single run's relative noise;
//   small tensors        (fewer than kSmallTensor elements): their own largest relative noise over all steps, and the
//                        step's largest over all tensors, both widened by 1 + 5 / sqrt(2 n): the upper quantile
//                        (3e-7) of the norm of n independent errors.
// A ceiling guards the other side: a single run that is itself wrong is no measure of noise. Where the median relative
// noise exceeds kCeiling units of round-off (growing 4 times a step, as errors carry over), all noise is scaled down to
// it, so that the fault shows in R in place of hiding in its own noise.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "harness/protocol/workload.h"

namespace lockstep::checks {

inline constexpr double kTau = 3;  // R of right layouts: 0.65 to 1.5 (numerics.md)
inline constexpr std::int64_t kSmallTensor = 128;

double ComputeRoundoff(protocol::Precision precision);  // of the compute type: 2^-53, 2^-24, 2^-8
double MasterRoundoff(protocol::Precision precision);   // of parameters, optimizer and sums: 2^-53, 2^-24, 2^-24

// The single run beside the oracle, for one tensor of one step.
struct TensorNoise {
  std::int64_t elements = 0;
  double reference = 0;         // |x_64|
  double single = 0;            // |x_single - x_64|
  double largest_relative = 0;  // of this tensor over all steps: single / reference
};

class NoiseScale {
 public:
  // `tensors`: all of one kind (gradients, or parameters) in one step.
  NoiseScale(const std::vector<TensorNoise>& tensors, double roundoff, std::int64_t step);
  double Of(const TensorNoise& tensor) const;           // noise of one tensor, > 0 where |x_64| > 0
  double typical() const { return typical_; }           // median relative noise, at least the round-off
  bool single_is_wrong() const { return shrink_ < 1; }  // its noise was scaled down to the ceiling

 private:
  double roundoff_ = 0, typical_ = 0, largest_ = 0, shrink_ = 1;
};

// Noise of a loss: a mean over n targets. At least the single run's own (its largest relative one over all steps), what
// sqrt(n) additions in the master type cost, and the mean of n independent errors of the gradients' typical size.
double LossNoise(double loss, double single_largest_relative, std::int64_t valid_targets, double typical,
                 protocol::Precision precision);

// Gradients of a run in bf16 sums: the share of non-zero elements with 12 or more trailing zero bits in fp32's mantissa
// of 23. By chance it is 2^-12; rounding to bf16 leaves 16 such bits, and adding a few such numbers hardly fewer.
inline constexpr double kCoarseShare = 0.5;

// Relative bound on a reported norm of `elements` values beside the norm in double: sqrt(n) roundings of a running sum
// and a few of squares and root, at the level of the master type (halved by the root, doubled by fp32 squares).
double NormBound(std::int64_t elements, protocol::Precision precision);

// Bound on one clipped element beside gradient * factor: the norm's own error, and three roundings.
double ClippedBound(double clipped, std::int64_t elements, protocol::Precision precision);

// Bound on a reported learning rate: 1e-12 in fp64; otherwise four roundings of fp32. The cosine is a difference of
// numbers of the peak's size, so it is relative to the peak there.
double LearningRateBound(const protocol::Optimizer& optimizer, std::int64_t step, protocol::Precision precision);

// One element of the optimizer's input, and its parameter after the update in fp64.
struct UpdateElement {
  double parameter = 0, gradient = 0;                         // before
  double first = 0, second = 0;                               // state before: momentum, or exp_avg and exp_avg_sq
  double updated = 0, updated_first = 0, updated_second = 0;  // after
  bool decayed = false;
};
struct UpdateBounds {
  double parameter = 0, first = 0, second = 0;
};
// Rounding of the result (2 u |p'|) and of the update's terms, each with a few roundings: derived beside the code.
UpdateBounds BoundsOfUpdate(const protocol::Optimizer& optimizer, double roundoff, std::int64_t step, double rate,
                            const UpdateElement& element);

// A difference of two runs, relative to the size of what differs, that rounding alone makes: no more than the ceiling
// above, with one order of magnitude to the smallest fault that was met.
bool IsRounding(double relative, protocol::Precision precision);

// A cause explains a difference when what it leaves is noise, or a small part of the difference.
// One number (a loss) is met by chance more easily than a tensor: there the part is smaller.
bool Explains(double residual, double difference, double typical_noise, bool one_number);
// alpha is this factor when the two agree to the noise; rho is noise when no more than that is left beside the scale.
bool IsFactor(double alpha, double factor, double typical_noise);
bool IsScaleOnly(double alpha, double rho, double typical_noise);

// Where time went. A rank's categories are made of one cut of its step, so that they sum to it but for the rounding of
// the times in its timeline; what the trainer itself says a step took is another reading of the same clock.
inline constexpr double kSumToWall = 1e-3;     // of the step
inline constexpr double kUnattributed = 0.02;  // of a rank's counted time

// Seconds by which what is mostly charged to an operation may miss what it was made to sleep. A sleep ends when the
// machine has a core for it, and the operation's own duration differs from step to step: a millisecond each, or a part
// of it; and `noise`, by which operations of the same run took longer that nobody delayed.
double ChargeBound(double seconds, std::int64_t sleeps, double noise);
// An operation that nobody delayed took longer than its like by no more than this part of the delay, and nor may noise
// excuse more: above it the wrong one would be taken for the cause.
inline constexpr double kBystander = 0.5;

// Idle time that is not the schedule's own, and the bubble's distance from the formula, of a rank's time. Messages of a
// host take microseconds beside the milliseconds of the operations that the cases have; a slow link takes many times
// this.
inline constexpr double kForeignIdle = 0.1;

}  // namespace lockstep::checks
