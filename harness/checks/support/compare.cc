#include "harness/checks/support/compare.h"

#include <bit>
#include <cmath>
#include <limits>
#include <stdexcept>

namespace lockstep::checks {

void Comparison::Add(std::span<const double> candidate, std::span<const double> reference) {
  if (candidate.size() != reference.size()) throw std::logic_error("Comparison::Add: sizes differ");
  for (std::size_t i = 0; i < candidate.size(); ++i) {
    const double c = candidate[i], r = reference[i], d = c - r;
    cc_ += c * c;
    cr_ += c * r;
    rr_ += r * r;
    dd_ += d * d;
  }
  elements_ += static_cast<std::int64_t>(candidate.size());
}

double Comparison::reference() const { return std::sqrt(rr_); }
double Comparison::difference() const {
  return std::isfinite(dd_) ? std::sqrt(dd_) : std::numeric_limits<double>::quiet_NaN();
}
double Comparison::alpha() const { return cr_ / rr_; }
double Comparison::rho() const {
  // |c - a r|^2 = |d|^2 - (a - 1)^2 |r|^2 with d = c - r: free of the cancellation that |c|^2 - a^2 |r|^2 has.
  const double shift = (cr_ - rr_) / rr_;
  const double rest = dd_ / rr_ - shift * shift;
  return std::isnan(rest) ? rest : std::sqrt(std::max(rest, 0.0));
}

double Norm(std::span<const double> values) {
  double sum = 0;
  for (const double v : values) sum += v * v;
  return std::sqrt(sum);
}

double Worse(double a, double b) { return std::isnan(a) || a > b ? a : b; }

bool SameBits(double a, double b) { return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b); }

std::optional<BitDifference> CompareBits(std::span<const double> a, std::span<const double> b) {
  if (a.size() != b.size()) throw std::logic_error("CompareBits: sizes differ");
  BitDifference found;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const bool finite = std::isfinite(a[i]) && std::isfinite(b[i]);
    if (finite && SameBits(a[i], b[i])) continue;
    if (found.count++ == 0) {
      found.first = static_cast<std::int64_t>(i);
      found.a = a[i];
      found.b = b[i];
      found.not_finite = !finite;
    }
  }
  if (found.count == 0) return std::nullopt;
  return found;
}

std::optional<BitDifference> CompareBits(const protocol::Tensor& a, const protocol::Tensor& b) {
  return CompareBits(a.ToDoubles(), b.ToDoubles());  // widening is exact, so bits stay comparable
}

std::vector<std::int64_t> GlobalIndices(const protocol::Slice& slice) {
  const std::size_t dimensions = slice.shape.size();
  std::vector<std::int64_t> indices, at(dimensions, 0);
  const std::int64_t count = protocol::ElementCount(slice.shape);
  indices.reserve(static_cast<std::size_t>(count));
  for (std::int64_t n = 0; n < count; ++n) {
    std::int64_t flat = 0;
    for (std::size_t d = 0; d < dimensions; ++d) flat = flat * slice.global_shape[d] + slice.offset[d] + at[d];
    indices.push_back(flat);
    for (std::size_t d = dimensions; d-- > 0;) {
      if (++at[d] < slice.shape[d]) break;
      at[d] = 0;
    }
  }
  return indices;
}

std::vector<double> ExtractValues(std::span<const double> global, const protocol::Slice& slice) {
  if (slice.IsWhole()) return {global.begin(), global.end()};
  std::vector<double> values;
  for (const std::int64_t i : GlobalIndices(slice)) values.push_back(global[static_cast<std::size_t>(i)]);
  return values;
}

}  // namespace lockstep::checks
