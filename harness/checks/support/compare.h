// Arithmetic of comparison: norms, scale and direction, bytes. It knows no bound: tolerance.h judges what is found
// here.
//
// Everything is summed in double, and a value that is not finite makes every figure NaN, which fails whatever follows.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "harness/protocol/tensor.h"

namespace lockstep::checks {

// Scale and direction of a candidate c beside a reference r (numerics.md):
//   alpha = <c, r> / <r, r>,  rho = |c - alpha r| / |r|.
// alpha tells a factor, rho what no factor explains. Sums over several tensors add up before the quotients.
class Comparison {
 public:
  void Add(std::span<const double> candidate, std::span<const double> reference);
  std::int64_t elements() const { return elements_; }
  double reference() const;   // |r|
  double difference() const;  // |c - r|
  double relative() const { return difference() / reference(); }
  double alpha() const;
  double rho() const;

 private:
  std::int64_t elements_ = 0;
  double cc_ = 0, cr_ = 0, rr_ = 0, dd_ = 0;
};

double Norm(std::span<const double> values);
// The larger of two errors, where NaN is larger than anything.
double Worse(double a, double b);

struct BitDifference {
  std::int64_t count = 0;   // elements that differ
  std::int64_t first = -1;  // index of the first
  double a = 0, b = 0;      // the first's values
  bool not_finite = false;  // the first is NaN or infinite (equal or not)
};

// Elements whose bits differ or that are not finite. nullopt: all equal and finite. Sizes must agree.
std::optional<BitDifference> CompareBits(std::span<const double> a, std::span<const double> b);
std::optional<BitDifference> CompareBits(const protocol::Tensor& a, const protocol::Tensor& b);
bool SameBits(double a, double b);

// The box `slice` of a flat row-major tensor of slice.global_shape.
std::vector<double> ExtractValues(std::span<const double> global, const protocol::Slice& slice);
// The flat global indices of a slice's elements, in the slice's own order.
std::vector<std::int64_t> GlobalIndices(const protocol::Slice& slice);

}  // namespace lockstep::checks
