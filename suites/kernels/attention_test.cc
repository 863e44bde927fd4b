#include <algorithm>

#include "suites/kernels/desk.h"

namespace lockstep::test {
namespace {

using device::AttentionShape;
using device::Element;

struct Gradients {
  std::vector<double> out, d_qkv;
};

// device.h's plain loops in double; with bf16, inputs of products are rounded as they enter.
Gradients InDouble(const AttentionShape& s, bool bf16, const std::vector<float>& qkv, const std::vector<float>& d_out) {
  const auto in = [bf16](double x) { return bf16 ? static_cast<double>(Rounded(static_cast<float>(x))) : x; };
  const auto at = [&](std::int64_t b, std::int64_t i, int which, std::int64_t h, std::int64_t d) {
    return (((b * s.length + i) * 3 + which) * s.heads + h) * s.width + d;
  };
  const auto out_at = [&](std::int64_t b, std::int64_t i, std::int64_t h, std::int64_t d) {
    return ((b * s.length + i) * s.heads + h) * s.width + d;
  };
  Gradients g{std::vector<double>(d_out.size()), std::vector<double>(qkv.size())};
  const double scale = 1 / std::sqrt(static_cast<double>(s.width));
  for (std::int64_t b = 0; b < s.batch; ++b) {
    for (std::int64_t h = 0; h < s.heads; ++h) {
      for (std::int64_t i = 0; i < s.length; ++i) {
        std::vector<double> p(i + 1), d_p(i + 1);
        double largest = -INFINITY, sum = 0, mean = 0;
        for (std::int64_t j = 0; j <= i; ++j) {
          for (std::int64_t d = 0; d < s.width; ++d)
            p[j] += scale * in(qkv[at(b, i, 0, h, d)]) * in(qkv[at(b, j, 1, h, d)]);
          largest = std::max(largest, p[j]);
        }
        for (double& value : p) sum += value = std::exp(value - largest);
        for (double& value : p) value /= sum;
        for (std::int64_t j = 0; j <= i; ++j) {
          for (std::int64_t d = 0; d < s.width; ++d) {
            const double dy = in(d_out[out_at(b, i, h, d)]), v = in(qkv[at(b, j, 2, h, d)]);
            g.out[out_at(b, i, h, d)] += in(p[j]) * v;
            d_p[j] += dy * v;
            g.d_qkv[at(b, j, 2, h, d)] += in(p[j]) * dy;
          }
          mean += p[j] * d_p[j];
        }
        for (std::int64_t j = 0; j <= i; ++j) {
          const double d_s = in(p[j] * (d_p[j] - mean)) * scale;
          for (std::int64_t d = 0; d < s.width; ++d) {
            g.d_qkv[at(b, i, 0, h, d)] += d_s * in(qkv[at(b, j, 1, h, d)]);
            g.d_qkv[at(b, j, 1, h, d)] += d_s * in(qkv[at(b, i, 0, h, d)]);
          }
        }
      }
    }
  }
  return g;
}

void Check(const AttentionShape& s, Element element, double bound) {
  SCOPED_TRACE(std::to_string(s.batch) + " x " + std::to_string(s.length) + " positions, " + std::to_string(s.heads) +
               " heads of " + std::to_string(s.width));
  const std::int64_t n = s.batch * s.length * s.heads * s.width;
  const auto qkv = Random(3 * n, 1, -2, 2), d_out = Random(n, 2);
  const auto got = Repeatable([&](Desk& desk) {
    float* const out = desk.Out(n);
    float* const d_qkv = desk.Out(3 * n);
    float* const saved = desk.Out(desk->AttentionSaved(s));
    const float* const input = desk.In(qkv);
    desk->AttentionForward(s, element, input, out, saved);
    desk->AttentionBackward(s, element, input, out, saved, desk.In(d_out), d_qkv);
    return Joined({desk.Read(out, n), desk.Read(d_qkv, 3 * n)});
  });
  const Gradients want = InDouble(s, element == Element::kBF16, qkv, d_out);
  EXPECT_LE(RelativeError(want.out, got.data()), bound);
  // One position alone has no gradient of q and k: what is left of it is measured against v's.
  EXPECT_LE(RelativeError(want.d_qkv, got.data() + n), bound);
}

constexpr AttentionShape kShapes[] = {{1, 1, 1, 1},   {2, 5, 3, 7},    {1, 64, 2, 16}, {1, 65, 1, 8},
                                      {3, 31, 2, 13}, {2, 130, 2, 24}, {1, 200, 1, 64}};

TEST(Attention, IsThePlainLoopForwardAndBackward) {
  for (const AttentionShape& shape : kShapes) Check(shape, Element::kF32, 16 * kUnit);
}

// A p that lies on a tie may be rounded to the other side than the double's: single elements differ by a bf16 unit.
TEST(Attention, RoundsTheInputsOfItsProductsToBF16) {
  for (const AttentionShape& shape : kShapes) Check(shape, Element::kBF16, 2e-4);
}

TEST(Attention, OfNothingDoesNothing) {
  Check({0, 5, 2, 4}, Element::kF32, 0);
  Check({2, 0, 2, 4}, Element::kF32, 0);
}

TEST(Attention, DoesNotSeeWhatComesLater) {
  const AttentionShape s{1, 100, 2, 8};
  const std::int64_t features = s.heads * s.width, from = 37;
  const auto device = MakeTestDevice();
  auto qkv = Random(s.length * 3 * features, 1);
  std::vector<std::vector<float>> outputs;
  for (const float shift : {0.0f, 3.0f}) {
    for (std::size_t i = from * 3 * features; i < qkv.size(); ++i) qkv[i] += shift;
    Desk desk(*device, 0);
    float* const out = desk.Out(s.length * features);
    desk->AttentionForward(s, Element::kF32, desk.In(qkv), out, desk.Out(desk->AttentionSaved(s)));
    outputs.push_back(desk.Read(out, s.length * features));
  }
  EXPECT_TRUE(std::equal(outputs[0].begin(), outputs[0].begin() + from * features, outputs[1].begin()));
  EXPECT_NE(outputs[0].back(), outputs[1].back());
}

}  // namespace
}  // namespace lockstep::test
