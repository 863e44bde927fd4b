#include "suites/kernels/desk.h"

namespace lockstep::test {
namespace {

using device::Element;
using device::Epilogue;
using device::Gemm;

struct Case {
  std::int64_t m, n, k;
  bool a_transposed = false, b_transposed = false, accumulate = false;
  Epilogue epilogue = Epilogue::kNone;
  Element element = Element::kF32;
  std::int64_t padding = 0;  // leading dimensions beyond the rows' lengths
};

std::string ToString(const Case& c) {
  return std::to_string(c.m) + "x" + std::to_string(c.n) + "x" + std::to_string(c.k) + (c.a_transposed ? " T" : " N") +
         (c.b_transposed ? "T" : "N") + (c.accumulate ? " +=" : " =") + " epilogue " +
         std::to_string(static_cast<int>(c.epilogue)) + (c.element == Element::kBF16 ? " bf16" : " fp32") +
         " padding " + std::to_string(c.padding);
}

// (rows, columns) as used -> as stored, with NaN in the padding
std::vector<float> Stored(const std::vector<float>& x, std::int64_t rows, std::int64_t columns, bool transposed,
                          std::int64_t leading) {
  std::vector<float> stored(static_cast<std::size_t>(leading * (transposed ? columns : rows)), NAN);
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t j = 0; j < columns; ++j) {
      stored[transposed ? j * leading + i : i * leading + j] = x[i * columns + j];
    }
  }
  return stored;
}

double Activated(Epilogue epilogue, double u) {
  if (epilogue == Epilogue::kBiasRelu) return u > 0 ? u : 0;
  return epilogue == Epilogue::kBiasGelu ? GeluInDouble(u) : u;
}

device::Matrix Upload(Desk& desk, const std::vector<float>& stored, Element element, bool transposed,
                      std::int64_t leading) {
  if (element == Element::kF32) return {desk.In(stored), element, transposed, leading};
  std::vector<std::uint16_t> narrow(stored.size());
  auto* const place = desk.In(narrow);
  desk->ToBF16(static_cast<std::int64_t>(stored.size()), desk.In(stored), place);
  return {place, element, transposed, leading};
}

void Check(const Case& c) {
  SCOPED_TRACE(ToString(c));
  const auto a = Random(c.m * c.k, 1), b = Random(c.k * c.n, 2), bias = Random(c.n, 3), before = Random(c.m * c.n, 4);
  const std::int64_t lead_a = (c.a_transposed ? c.m : c.k) + c.padding;
  const std::int64_t lead_b = (c.b_transposed ? c.k : c.n) + c.padding;
  const std::int64_t lead_c = c.n + c.padding;
  const auto got = Repeatable([&](Desk& desk) {
    Gemm gemm{.m = c.m, .n = c.n, .k = c.k};
    gemm.a = Upload(desk, Stored(a, c.m, c.k, c.a_transposed, lead_a), c.element, c.a_transposed,
                    c.padding == 0 ? 0 : lead_a);
    gemm.b = Upload(desk, Stored(b, c.k, c.n, c.b_transposed, lead_b), c.element, c.b_transposed,
                    c.padding == 0 ? 0 : lead_b);
    gemm.c = c.accumulate ? desk.In(Stored(before, c.m, c.n, false, lead_c)) : desk.Out(c.m * lead_c);
    gemm.leading_c = c.padding == 0 ? 0 : lead_c;
    gemm.accumulate = c.accumulate;
    gemm.epilogue = c.epilogue;
    gemm.bias = desk.In(bias);
    if (c.epilogue != Epilogue::kNone) gemm.before_activation = desk.Out(c.m * c.n);
    desk->Multiply(gemm);
    const auto out = desk.Read(gemm.c, c.m * lead_c);
    return c.epilogue == Epilogue::kNone ? out : Joined({out, desk.Read(gemm.before_activation, c.m * c.n)});
  });
  for (std::int64_t i = 0; i < c.m; ++i) {
    for (std::int64_t j = 0; j < lead_c; ++j) {
      if (j >= c.n) {
        EXPECT_TRUE(std::isnan(got[i * lead_c + j])) << "the padding was written to";
        continue;
      }
      double sum = c.accumulate ? before[i * c.n + j] : 0, magnitude = std::abs(sum);
      for (std::int64_t l = 0; l < c.k; ++l) {
        const double x = c.element == Element::kBF16 ? Rounded(a[i * c.k + l]) : a[i * c.k + l];
        const double y = c.element == Element::kBF16 ? Rounded(b[l * c.n + j]) : b[l * c.n + j];
        sum += x * y;
        magnitude += std::abs(x * y);
      }
      const double units = 8 + 2 * std::sqrt(static_cast<double>(c.k));
      const std::string where = "row " + std::to_string(i) + " column " + std::to_string(j);
      if (c.epilogue != Epilogue::kNone) {
        sum += bias[j];
        magnitude += std::abs(bias[j]);
        ExpectNear(sum, got[c.m * lead_c + i * c.n + j], magnitude, units, where + " before the activation");
      }
      ExpectNear(Activated(c.epilogue, sum), got[i * lead_c + j], magnitude, 1.2 * units, where);
    }
  }
}

constexpr std::int64_t kShapes[][3] = {{1, 1, 1},     {1, 17, 5},     {7, 1, 13},  {31, 37, 41},
                                       {128, 64, 96}, {129, 33, 300}, {300, 5, 64}};

TEST(Multiply, IsThePlainLoopForEveryTranspositionAndShape) {
  for (const auto& [m, n, k] : kShapes) {
    for (const int which : {0, 1, 2, 3}) {
      Check({.m = m, .n = n, .k = k, .a_transposed = (which & 1) != 0, .b_transposed = (which & 2) != 0});
      Check({.m = m,
             .n = n,
             .k = k,
             .a_transposed = (which & 1) != 0,
             .b_transposed = (which & 2) != 0,
             .accumulate = true,
             .padding = 3});
    }
  }
}

TEST(Multiply, AppliesEveryEpilogueAndKeepsWhatCameBeforeIt) {
  for (const auto& [m, n, k] : kShapes) {
    for (const Epilogue epilogue : {Epilogue::kBias, Epilogue::kBiasRelu, Epilogue::kBiasGelu}) {
      Check({.m = m, .n = n, .k = k, .b_transposed = true, .epilogue = epilogue});
      Check({.m = m, .n = n, .k = k, .epilogue = epilogue, .padding = 5});
    }
  }
}

TEST(Multiply, TakesBF16AsItStandsAndAddsInFP32) {
  for (const auto& [m, n, k] : kShapes) {
    Check({.m = m, .n = n, .k = k, .b_transposed = true, .epilogue = Epilogue::kBiasGelu, .element = Element::kBF16});
    Check({.m = m, .n = n, .k = k, .a_transposed = true, .accumulate = true, .element = Element::kBF16});
    Check({.m = m, .n = n, .k = k, .element = Element::kBF16, .padding = 7});
  }
}

// Large enough for several tiles, and for oneDNN to copy its operands into an order of its own.
TEST(Multiply, IsThePlainLoopOverSeveralTiles) {
  for (const int which : {0, 1, 2, 3}) {
    Check({.m = 1100, .n = 600, .k = 37, .a_transposed = (which & 1) != 0, .b_transposed = (which & 2) != 0});
  }
  Check({.m = 1100, .n = 600, .k = 37, .a_transposed = true, .accumulate = true, .padding = 1});
  Check({.m = 1100, .n = 600, .k = 37, .b_transposed = true, .epilogue = Epilogue::kBiasGelu});
}

TEST(Multiply, OfNothingGivesZerosAndTheirEpilogue) {
  Check({.m = 5, .n = 3, .k = 0});
  Check({.m = 5, .n = 3, .k = 0, .accumulate = true});
  Check({.m = 5, .n = 3, .k = 0, .epilogue = Epilogue::kBiasGelu});
  Check({.m = 0, .n = 3, .k = 4});
  Check({.m = 3, .n = 0, .k = 4});
}

TEST(Multiply, LetsNaNThroughEveryEpilogue) {
  const auto device = MakeTestDevice();
  for (const Epilogue epilogue : {Epilogue::kBias, Epilogue::kBiasRelu, Epilogue::kBiasGelu}) {
    Desk desk(*device, 0);
    Gemm gemm{.m = 1, .n = 20, .k = 1};
    gemm.a.data = desk.In(std::vector<float>{NAN});
    gemm.b.data = desk.In(std::vector<float>(20, 1.0f));
    gemm.c = desk.In(std::vector<float>(20, 0.0f));
    gemm.epilogue = epilogue;
    gemm.bias = desk.In(std::vector<float>(20, 0.0f));
    desk->Multiply(gemm);
    for (const float value : desk.Read(gemm.c, 20)) EXPECT_TRUE(std::isnan(value));
  }
}

TEST(Multiply, RefusesWhatTheContractDoesNotHave) {
  const auto device = MakeTestDevice();
  Desk desk(*device, 0);
  Gemm gemm{.m = 1, .n = 1, .k = 1};
  gemm.a.data = gemm.b.data = desk.Out(1);
  gemm.c = desk.Out(1);
  gemm.accumulate = true;
  gemm.epilogue = Epilogue::kBias;
  gemm.bias = desk.Out(1);
  EXPECT_THROW(device->Multiply(gemm), std::logic_error);
  gemm.accumulate = false;
  gemm.bias = nullptr;
  EXPECT_THROW(device->Multiply(gemm), std::logic_error);
  gemm.epilogue = Epilogue::kNone;
  gemm.b.element = Element::kBF16;
  EXPECT_THROW(device->Multiply(gemm), std::logic_error);
}

}  // namespace
}  // namespace lockstep::test
