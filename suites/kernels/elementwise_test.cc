#include "suites/kernels/desk.h"

namespace lockstep::test {
namespace {

constexpr std::int64_t kSizes[] = {0, 1, 7, 8, 31, 97, 4096, 4097, 10007};

// y = f(x) for one input, at every size; want(x) in double
template <typename Run, typename Want>
void CheckUnary(const Run& run, const Want& want, double units, float low, float high) {
  for (const std::int64_t n : kSizes) {
    const auto x = Random(n, 1, low, high);
    const auto got = Repeatable([&](Desk& desk) {
      float* const y = desk.Out(n);
      run(desk, n, desk.In(x), y);
      return desk.Read(y, n);
    });
    for (std::int64_t i = 0; i < n; ++i) {
      const auto [value, magnitude] = want(x[i]);
      ExpectNear(value, got[i], magnitude, units, "at x = " + std::to_string(x[i]));
    }
  }
}

TEST(Gelu, IsTheTanhApproximation) {
  // Relative to the value where tanh does not cancel; left of that, to x's own size.
  CheckUnary(
      [](Desk& desk, std::int64_t n, const float* x, float* y) { desk->GeluForward(n, x, y); },
      [](float x) { return std::pair(GeluInDouble(x), std::max(std::abs(GeluInDouble(x)), 0.01 * std::abs(x))); }, 16,
      -9, 9);
  CheckUnary([](Desk& desk, std::int64_t n, const float* x, float* y) { desk->GeluForward(n, x, y); },
             [](float x) { return std::pair(x > 0 ? static_cast<double>(x) : 0.0, std::abs(static_cast<double>(x))); },
             1, 20, 1e10f);
  CheckUnary([](Desk& desk, std::int64_t n, const float* x, float* y) { desk->GeluForward(n, x, y); },
             [](float x) { return std::pair(0.0, std::abs(static_cast<double>(x))); }, 1e-6, -1e10f, -20);
}

TEST(Gelu, BackwardIsItsDerivative) {
  const auto derivative = [](double x) {
    const double c = std::sqrt(2 / M_PI), t = std::tanh(c * (x + 0.044715 * x * x * x));
    return (1 + t) / 2 + x / 2 * (1 - t * t) * c * (1 + 3 * 0.044715 * x * x);
  };
  for (const std::int64_t n : kSizes) {
    const auto x = Random(n, 1, -8, 8), d_y = Random(n, 2);
    const auto got = Repeatable([&](Desk& desk) {
      float* const d_x = desk.Out(n);
      desk->GeluBackward(n, desk.In(x), desk.In(d_y), d_x);
      return desk.Read(d_x, n);
    });
    for (std::int64_t i = 0; i < n; ++i) ExpectNear(d_y[i] * derivative(x[i]), got[i], std::abs(d_y[i]), 16, "d_x");
  }
}

TEST(Relu, BackwardPassesWhereTheInputWasAboveZero) {
  const std::vector<float> before{-1, -0.0f, 0.0f, 1e-30f, 5, -7, 2, NAN, 3};
  const auto got = Repeatable([&](Desk& desk) {
    float* const d_x = desk.Out(9);
    desk->ReluBackward(9, desk.In(before), desk.In(std::vector<float>{1, 2, 3, 4, 5, 6, 7, 8, 9}), d_x);
    return desk.Read(d_x, 9);
  });
  EXPECT_EQ(got, (std::vector<float>{0, 0, 0, 4, 5, 0, 7, 0, 9}));
}

TEST(Elementwise, AddAndScaleAreExactAndWorkInPlace) {
  for (const std::int64_t n : kSizes) {
    const auto a = Random(n, 1), b = Random(n, 2);
    const auto got = Repeatable([&](Desk& desk) {
      float* const y = desk.Out(n);
      float* const on_a = desk.In(a);
      float* const on_b = desk.In(b);
      desk->Add(n, desk.In(a), desk.In(b), y);
      desk->Add(n, on_a, desk.In(b), on_a);
      desk->Add(n, desk.In(a), on_b, on_b);
      float* const scaled = desk.In(a);
      desk->Scale(n, 0.3f, scaled);
      return Joined({desk.Read(y, n), desk.Read(on_a, n), desk.Read(on_b, n), desk.Read(scaled, n)});
    });
    for (std::int64_t i = 0; i < 3 * n; ++i) EXPECT_EQ(got[i], a[i % n] + b[i % n]);
    for (std::int64_t i = 0; i < n; ++i) EXPECT_EQ(got[3 * n + i], 0.3f * a[i]);
  }
}

TEST(BF16, RoundsToNearestTiesToEvenAndKeepsNaN) {
  std::vector<float> x = Random(1001, 1, -1e3f, 1e3f);
  const std::vector<float> special{0.0f,          -0.0f,           1.0f,     0x1.01p0f, 0x1.03p0f,
                                   0x1.010002p0f, 0x1.fffffep127f, INFINITY, -INFINITY, 0x1p-140f};
  x.insert(x.end(), special.begin(), special.end());
  const auto n = static_cast<std::int64_t>(x.size());
  const auto got = Repeatable([&](Desk& desk) {
    float* const y = desk.Out(n);
    std::uint16_t* const narrow = desk.In(std::vector<std::uint16_t>(n));
    desk->ToBF16(n, desk.In(x), narrow);
    desk->FromBF16(n, narrow, y);
    return desk.Read(y, n);
  });
  for (std::int64_t i = 0; i < n; ++i) EXPECT_EQ(got[i], std::isfinite(x[i]) ? Rounded(x[i]) : x[i]) << x[i];
  const auto device = MakeTestDevice();
  Desk desk(*device, 0);
  // The second has its only set bits where rounding cuts.
  std::uint32_t bits[] = {0x7FC00000u, 0x7F800001u, 0xFFFFFFFFu};
  std::vector<float> nans(3);
  std::memcpy(nans.data(), bits, sizeof bits);
  std::uint16_t* const narrow = desk.In(std::vector<std::uint16_t>(3));
  float* const y = desk.In(std::vector<float>(3));
  desk->ToBF16(3, desk.In(nans), narrow);
  desk->FromBF16(3, narrow, y);
  for (const float value : desk.Read(y, 3)) EXPECT_TRUE(std::isnan(value));
}

TEST(Sums, AreInFP64AndDoNotDependOnTheirPlace) {
  for (const std::int64_t n : kSizes) {
    const auto x = Random(n, 1, -3, 3);
    std::vector<double> sums, squares;
    const auto device = MakeTestDevice();
    for (const std::size_t offset : {0, 1, 7}) {
      Desk desk(*device, offset);
      sums.push_back(desk->Sum(n, desk.In(x)));
      squares.push_back(desk->SumOfSquares(n, desk.In(x)));
    }
    double sum = 0, square = 0;
    for (const float value : x) sum += value, square += static_cast<double>(value) * value;
    EXPECT_NEAR(sums[0], sum, 1e-12 * static_cast<double>(n));
    EXPECT_NEAR(squares[0], square, 1e-12 * static_cast<double>(n));
    for (const int i : {1, 2}) EXPECT_TRUE(sums[i] == sums[0] && squares[i] == squares[0]);
  }
}

TEST(Sums, DoNotLoseWhatFP32Would) {
  const auto device = MakeTestDevice();
  Desk desk(*device, 0);
  EXPECT_EQ(desk->Sum(4, desk.In(std::vector<float>{1e8f, 1, -1e8f, 1})), 2);
  EXPECT_EQ(desk->SumOfSquares(2, desk.In(std::vector<float>{3e19f, 4e19f})),
            static_cast<double>(3e19f) * 3e19f + static_cast<double>(4e19f) * 4e19f);
}

// One rank may hold an element at the end of its shard that another holds in the middle: the same bytes either way.
template <typename Step>
void CheckOptimizer(const Step& step) {
  constexpr std::int64_t n = 4133;
  const auto g = Random(n, 1), m = Random(n, 2), v = Random(n, 3, 0, 1), p = Random(n, 4);
  const auto run = [&](std::int64_t first, std::int64_t last) {
    const auto cut = [=](const std::vector<float>& x) {
      return std::vector<float>(x.begin() + first, x.begin() + last);
    };
    return Repeatable([&](Desk& desk) {
      float* const state[] = {desk.In(cut(m)), desk.In(cut(v)), desk.In(cut(p))};
      step(desk, last - first, desk.In(cut(g)), state[0], state[1], state[2]);
      return Joined(
          {desk.Read(state[0], last - first), desk.Read(state[1], last - first), desk.Read(state[2], last - first)});
    });
  };
  const auto whole = run(0, n);
  for (const auto& [first, last] : {std::pair<std::int64_t, std::int64_t>{0, 1}, {1, 30}, {17, 4096}, {4000, n}}) {
    const auto part = run(first, last);
    for (int which = 0; which < 3; ++which) {
      for (std::int64_t i = first; i < last; ++i) {
        ASSERT_EQ(part[which * (last - first) + i - first], whole[which * n + i]) << "element " << i;
      }
    }
  }
}

TEST(Optimizers, SgdIsItsFormula) {
  const auto got = Repeatable([](Desk& desk) {
    float* const p = desk.In(std::vector<float>{1, -2});
    desk->SgdStep(2, 0.5f, 0.25f, desk.In(std::vector<float>{3, 4}), p);
    return desk.Read(p, 2);
  });
  EXPECT_EQ(got, (std::vector<float>{1 - 0.5f * (3 + 0.25f), -2 - 0.5f * (4 - 0.5f)}));
  CheckOptimizer([](Desk& desk, std::int64_t n, const float* g, float*, float*, float* p) {
    desk->SgdStep(n, 0.1f, 0.01f, g, p);
  });
}

TEST(Optimizers, MomentumIsItsFormula) {
  const auto got = Repeatable([](Desk& desk) {
    float* const p = desk.In(std::vector<float>{1, -2});
    float* const v = desk.In(std::vector<float>{2, 8});
    desk->MomentumStep(2, 0.5f, 0.75f, 0.25f, desk.In(std::vector<float>{3, 4}), v, p);
    return Joined({desk.Read(v, 2), desk.Read(p, 2)});
  });
  EXPECT_EQ(got, (std::vector<float>{4.75f, 9.5f, 1 - 2.375f, -2 - 4.75f}));
  CheckOptimizer([](Desk& desk, std::int64_t n, const float* g, float* m, float*, float* p) {
    desk->MomentumStep(n, 0.1f, 0.9f, 0.01f, g, m, p);
  });
}

TEST(Optimizers, AdamWIsItsFormula) {
  const std::int64_t n = 997;
  const float rate = 0.01f, beta1 = 0.9f, beta2 = 0.99f, epsilon = 1e-8f, decay = 0.1f, c1 = 0.19f, c2 = 0.0199f;
  const auto g = Random(n, 1), m = Random(n, 2), v = Random(n, 3, 0.01f, 1), p = Random(n, 4);
  const auto got = Repeatable([&](Desk& desk) {
    float* const state[] = {desk.In(m), desk.In(v), desk.In(p)};
    desk->AdamWStep(n, rate, beta1, beta2, epsilon, decay, c1, c2, desk.In(g), state[0], state[1], state[2]);
    return Joined({desk.Read(state[0], n), desk.Read(state[1], n), desk.Read(state[2], n)});
  });
  for (std::int64_t i = 0; i < n; ++i) {
    const double new_m = static_cast<double>(beta1) * m[i] + (1 - static_cast<double>(beta1)) * g[i];
    const double new_v = static_cast<double>(beta2) * v[i] + (1 - static_cast<double>(beta2)) * g[i] * g[i];
    const double update = new_m / c1 / (std::sqrt(new_v / c2) + epsilon);
    ExpectNear(new_m, got[i], 1, 8, "m");
    ExpectNear(new_v, got[n + i], 1, 8, "v");
    ExpectNear(p[i] - rate * decay * p[i] - rate * update, got[2 * n + i],
               std::abs(p[i]) + rate * (1 + std::abs(update)), 32, "p");
  }
  CheckOptimizer(
      [&](Desk& desk, std::int64_t size, const float* gradient, float* first, float* second, float* parameter) {
        desk->AdamWStep(size, rate, beta1, beta2, epsilon, decay, c1, c2, gradient, first, second, parameter);
      });
}

}  // namespace
}  // namespace lockstep::test
