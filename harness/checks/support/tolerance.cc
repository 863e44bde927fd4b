#include "harness/checks/support/tolerance.h"

#include <algorithm>
#include <cfloat>
#include <cmath>

namespace lockstep::checks {

using protocol::OptimizerKind;
using protocol::Precision;

namespace {

// Ceiling of the median relative noise in units of round-off, at step 1. In fp32 and fp64 gradients of small models lie
// at 1 to 100 u; leaving out one sample of 256 lies at 60,000 u. In bf16 each of some 10 to 20 roundings on the way
// costs a third of u at random: 1 to 3 u; there one sample of 256 is 5 to 10 times the noise, so the ceiling is near.
double Ceiling(double roundoff) { return roundoff > 1e-5 ? 16 : 4096; }
constexpr double kCeilingGrowth = 4;       // a step
constexpr std::int64_t kCeilingSteps = 5;  // after which it grows no more

// Below this fp32 has no normal numbers, and relative bounds mean nothing; fp64's own limit is out of reach.
double Tiny(double roundoff) { return roundoff > 0x1p-50 ? FLT_MIN : 0; }

// Upper quantile (3e-7) of the norm of n independent normal errors, beside its mean.
double SmallSample(std::int64_t elements) {
  return 1 + 5 / std::sqrt(2.0 * static_cast<double>(std::max<std::int64_t>(1, elements)));
}

}  // namespace

double ComputeRoundoff(Precision precision) {
  if (precision == Precision::kF64) return 0x1p-53;
  return precision == Precision::kF32 ? 0x1p-24 : 0x1p-8;
}

double MasterRoundoff(Precision precision) { return precision == Precision::kF64 ? 0x1p-53 : 0x1p-24; }

NoiseScale::NoiseScale(const std::vector<TensorNoise>& tensors, double roundoff, std::int64_t step)
    : roundoff_(roundoff) {
  std::vector<double> relative;
  for (const TensorNoise& t : tensors) {
    const double value = t.single / t.reference;
    if (std::isfinite(value)) relative.push_back(value);
  }
  if (!relative.empty()) {
    const auto middle = relative.begin() + static_cast<std::ptrdiff_t>(relative.size() / 2);
    std::nth_element(relative.begin(), middle, relative.end());
    typical_ = *middle;
    largest_ = *std::max_element(relative.begin(), relative.end());
  }
  const auto carried = static_cast<double>(std::clamp<std::int64_t>(step - 1, 0, kCeilingSteps));
  const double ceiling = Ceiling(roundoff) * roundoff * std::pow(kCeilingGrowth, carried);
  if (typical_ > ceiling) shrink_ = ceiling / typical_;
  typical_ = std::max(typical_ * shrink_, roundoff);
  largest_ = std::max(largest_ * shrink_, roundoff);
}

double NoiseScale::Of(const TensorNoise& t) const {
  // A single run that is not finite measures nothing: the floor alone then stands.
  const double own = std::isfinite(t.single) ? t.single * shrink_ : 0;
  double floor = typical_ * t.reference;
  if (t.elements < kSmallTensor) {
    const double over_steps = std::isfinite(t.largest_relative) ? t.largest_relative * shrink_ : 0;
    floor = std::max(largest_, over_steps) * SmallSample(t.elements) * t.reference;
  }
  return std::max({own, floor, roundoff_ * t.reference});
}

double LossNoise(double loss, double single_largest_relative, std::int64_t valid_targets, double typical,
                 Precision precision) {
  const double n = std::sqrt(static_cast<double>(std::max<std::int64_t>(1, valid_targets)));
  const double sums = MasterRoundoff(precision) * std::max(n, 4.0);
  const double targets = typical / n;
  const double ceiling = Ceiling(ComputeRoundoff(precision)) * ComputeRoundoff(precision);
  const double own = std::isfinite(single_largest_relative) ? std::min(single_largest_relative, ceiling) : 0;
  return std::fabs(loss) * std::max({own, sums, targets});
}

double NormBound(std::int64_t elements, Precision precision) {
  return MasterRoundoff(precision) * (8 + 2 * std::sqrt(static_cast<double>(elements)));
}

double ClippedBound(double clipped, std::int64_t elements, Precision precision) {
  return std::fabs(clipped) * (NormBound(elements, precision) + 3 * MasterRoundoff(precision)) + FLT_MIN;
}

double LearningRateBound(const protocol::Optimizer& optimizer, std::int64_t step, Precision precision) {
  const double relative = precision == Precision::kF64 ? 1e-12 : 4 * 0x1p-24;
  const bool cosine = step > optimizer.warmup_steps && optimizer.cosine_steps > 0;
  return relative * (cosine ? optimizer.learning_rate : protocol::LearningRate(optimizer, step));
}

UpdateBounds BoundsOfUpdate(const protocol::Optimizer& o, double u, std::int64_t step, double rate,
                            const UpdateElement& e) {
  UpdateBounds bounds;
  const double decay = e.decayed ? o.weight_decay * std::fabs(e.parameter) : 0;
  const double stored = 2 * u * std::fabs(e.updated) + Tiny(u);
  if (o.kind == OptimizerKind::kSgd) {
    // w p, g + w p, r itself, r (g + w p): four roundings of terms no larger than these.
    bounds.parameter = stored + 4 * u * rate * (std::fabs(e.gradient) + decay);
    return bounds;
  }
  if (o.kind == OptimizerKind::kMomentum) {
    // momentum as a constant, times v, w p, two sums, the store.
    bounds.first = 5 * u * (o.momentum * std::fabs(e.first) + std::fabs(e.gradient) + decay) + Tiny(u);
    bounds.parameter = stored + rate * (bounds.first + 3 * u * std::fabs(e.updated_first));
    return bounds;
  }
  // AdamW in its own type: a beta rounded to u is a relative u / (1 - beta) on 1 - beta and on the bias correction.
  const double s = static_cast<double>(step);
  const double first_constant = u / (1 - o.beta1), second_constant = u / (1 - o.beta2);
  const double m = o.beta1 * std::fabs(e.first) + (1 - o.beta1) * std::fabs(e.gradient);
  bounds.first = m * (5 * u + first_constant) + Tiny(u);
  bounds.second = e.updated_second * (6 * u + second_constant) + Tiny(u);
  const double denominator = std::sqrt(e.updated_second / (1 - std::pow(o.beta2, s))) + o.epsilon;
  const double update = m / (1 - std::pow(o.beta1, s)) / denominator;
  bounds.parameter = stored + rate * update * (16 * u + 2 * first_constant + second_constant) + 4 * u * rate * decay;
  return bounds;
}

bool IsRounding(double relative, Precision precision) {
  return relative <= Ceiling(ComputeRoundoff(precision)) * ComputeRoundoff(precision);
}

bool Explains(double residual, double difference, double typical_noise, bool one_number) {
  return residual <= std::max((one_number ? 1e-3 : 0.05) * difference, 3 * typical_noise) &&
         residual <= 0.3 * difference;
}

bool IsFactor(double alpha, double factor, double typical_noise) {
  return std::fabs(alpha / factor - 1) <= std::max(1e-4, 3 * typical_noise);
}

bool IsScaleOnly(double alpha, double rho, double typical_noise) {
  const double size = std::max(1.0, std::fabs(alpha));
  return rho <= std::max(10 * typical_noise * size, 1e-9) && rho <= 0.1 * std::fabs(alpha - 1);
}

double ChargeBound(double seconds, std::int64_t sleeps, double noise) {
  constexpr double kPart = 0.05, kOfASleep = 1e-3;
  const double usual = std::max(kPart * seconds, kOfASleep * static_cast<double>(sleeps));
  return usual + std::min(noise, kBystander * seconds);
}

}  // namespace lockstep::checks
