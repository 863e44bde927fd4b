#include "harness/protocol/tensor.h"

#include <bit>
#include <cmath>
#include <limits>

#include "harness/protocol/half.h"
#include "suites/unit/protocol/support.h"

namespace lockstep::protocol {
namespace {

TEST(BFloat16, RoundsTiesToEven) {
  EXPECT_EQ(BFloat16ToFloat(FloatToBFloat16(1.0f)), 1.0f);
  EXPECT_EQ(FloatToBFloat16(std::bit_cast<float>(0x3f808000u)), 0x3f80);  // halfway, even below
  EXPECT_EQ(FloatToBFloat16(std::bit_cast<float>(0x3f818000u)), 0x3f82);  // halfway, even above
  EXPECT_EQ(FloatToBFloat16(std::bit_cast<float>(0x3f808001u)), 0x3f81);  // just above halfway
  EXPECT_EQ(FloatToBFloat16(std::numeric_limits<float>::max()), 0x7f80);  // infinity
}

TEST(BFloat16, NaNStaysNaN) {
  EXPECT_TRUE(std::isnan(BFloat16ToFloat(FloatToBFloat16(std::bit_cast<float>(0x7f800001u)))));  // payload in lost bits
  EXPECT_TRUE(std::isnan(BFloat16ToFloat(FloatToBFloat16(-NAN))));
}

TEST(BFloat16, EveryPatternSurvivesTheWayThroughFloat) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float value = BFloat16ToFloat(static_cast<std::uint16_t>(bits));
    if (std::isnan(value)) continue;
    ASSERT_EQ(FloatToBFloat16(value), bits);
  }
}

TEST(Half, EveryPatternSurvivesTheWayThroughFloat) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float value = HalfToFloat(static_cast<std::uint16_t>(bits));
    if (std::isnan(value)) continue;
    ASSERT_EQ(FloatToHalf(value), bits);
  }
}

TEST(Half, RoundsToNearestAlsoWhereItIsSubnormal) {
  EXPECT_EQ(FloatToHalf(65519.0f), 0x7bff);
  EXPECT_EQ(FloatToHalf(65520.0f), 0x7c00);
  EXPECT_EQ(FloatToHalf(0x1p-25f), 0);           // halfway to the least subnormal: even
  EXPECT_EQ(FloatToHalf(0x1.8p-24f), 2);         // halfway between 1 and 2 units: even
  EXPECT_EQ(FloatToHalf(0x1.ffep-15f), 0x0400);  // rounds up into the normal numbers
  EXPECT_EQ(FloatToHalf(-2.0f), 0xc000);
}

TEST(Tensor, DoublesAreRoundedOnceToBFloat16) {
  // Just above a tie of bf16, but on the tie when first rounded to fp32: rounding twice would give 0x3f80.
  const double above_tie = 1.0 + 0x1p-8 + 0x1p-40;
  const Tensor tensor = Tensor::FromDoubles(DType::kBF16, {3}, std::vector<double>{above_tie, -above_tie, 1e300});
  EXPECT_EQ(tensor.As<std::uint16_t>()[0], 0x3f81);
  EXPECT_EQ(tensor.As<std::uint16_t>()[1], 0xbf81);
  EXPECT_EQ(tensor.As<std::uint16_t>()[2], 0x7f80);
}

TEST(Tensor, EveryTypeKeepsSmallIntegers) {
  const std::vector<double> values = {0, 1, 0, 1, 1, 0};
  for (const DType type : {DType::kF64, DType::kF32, DType::kF16, DType::kBF16, DType::kI64, DType::kI32, DType::kI16,
                           DType::kI8, DType::kU64, DType::kU32, DType::kU16, DType::kU8, DType::kBool}) {
    const Tensor tensor = Tensor::FromDoubles(type, {2, 3}, values);
    EXPECT_EQ(tensor.ToDoubles(), values) << NameOf(type);
    EXPECT_EQ(tensor.bytes.size(), 6 * SizeOf(type));
    EXPECT_EQ(DTypeFromName(NameOf(type)), type);
  }
}

TEST(Tensor, RefusesValuesThatDontFillItsShape) {
  EXPECT_THROW(Tensor::FromDoubles(DType::kF32, {2, 2}, std::vector<double>(3)), std::logic_error);
  EXPECT_THROW(Tensor::FromFloats({2}, std::vector<float>(3)), std::logic_error);
}

TEST(ElementCount, RefusesOverflowAndNegativeExtents) {
  EXPECT_EQ(ElementCount({}), 1);
  EXPECT_EQ(ElementCount({3, 0, 4}), 0);
  EXPECT_THROW(ElementCount({std::int64_t{1} << 32, std::int64_t{1} << 32}), std::overflow_error);
  EXPECT_THROW(ElementCount({2, -1}), std::overflow_error);
}

TEST(Slice, TilesOfATensorPutItTogetherAgain) {
  std::vector<double> values(2 * 5 * 7);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i);
  const Tensor whole = Tensor::FromDoubles(DType::kF32, {2, 5, 7}, values);
  Tensor again = Tensor::FromDoubles(DType::kF32, {2, 5, 7}, std::vector<double>(values.size(), -1));
  for (int i = 0; i < 3; ++i) {
    for (int j = 0; j < 4; ++j) {
      const protocol::Run rows = Split(5, 3, i), columns = Split(7, 4, j);
      const Slice slice{{2, 5, 7}, {0, rows.begin, columns.begin}, {2, rows.size, columns.size}};
      Insert(Extract(whole, slice), slice, again);
    }
  }
  EXPECT_EQ(again.bytes, whole.bytes);
}

TEST(Slice, ExtractsTheBoxAndNothingElse) {
  const Tensor whole = Tensor::FromDoubles(DType::kI32, {3, 3}, std::vector<double>{0, 1, 2, 3, 4, 5, 6, 7, 8});
  EXPECT_EQ(Extract(whole, {{3, 3}, {1, 1}, {2, 2}}).ToDoubles(), (std::vector<double>{4, 5, 7, 8}));
  EXPECT_TRUE(Extract(whole, {{3, 3}, {3, 0}, {0, 3}}).bytes.empty());
  EXPECT_THROW(Extract(whole, {{3, 3}, {2, 0}, {2, 3}}), std::logic_error);
  EXPECT_THROW(Extract(whole, {{3, 4}, {0, 0}, {1, 1}}), std::logic_error);
}

TEST(Split, DealsContiguousRunsTheFirstOnesLonger) {
  EXPECT_EQ(Split(7, 3, 0).size, 3);
  EXPECT_EQ(Split(7, 3, 1).begin, 3);
  for (std::int64_t n = 0; n < 30; ++n) {
    for (std::int64_t parts = 1; parts < 9; ++parts) {
      std::int64_t next = 0;
      for (std::int64_t i = 0; i < parts; ++i) {
        const protocol::Run run = Split(n, parts, i);
        ASSERT_EQ(run.begin, next);
        ASSERT_EQ(run.size, n / parts + (i < n % parts ? 1 : 0));
        next += run.size;
      }
      ASSERT_EQ(next, n);
    }
  }
  EXPECT_THROW(Split(4, 2, 2), std::logic_error);
}

}  // namespace
}  // namespace lockstep::protocol
