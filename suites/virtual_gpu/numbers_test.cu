// Numbers on the device: vector types, intrinsics, bfloat16 bit for bit.
#include <cuda_bf16.h>
#include <cuda_runtime.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>

namespace lockstep::suites::virtual_gpu {
namespace {

TEST(Numbers, VectorTypesHaveTheSizesAndAlignmentsOfTheToolkit) {
  EXPECT_EQ(sizeof(float2), 8u);
  EXPECT_EQ(alignof(float2), 8u);
  EXPECT_EQ(sizeof(float3), 12u);
  EXPECT_EQ(alignof(float3), 4u);
  EXPECT_EQ(sizeof(float4), 16u);
  EXPECT_EQ(alignof(float4), 16u);
  EXPECT_EQ(alignof(int4), 16u);
  EXPECT_EQ(alignof(uint4), 16u);
  EXPECT_EQ(alignof(uint2), 8u);
  EXPECT_EQ(alignof(ushort4), 8u);
  EXPECT_EQ(alignof(uchar4), 4u);
  EXPECT_EQ(alignof(double2), 16u);
  EXPECT_EQ(alignof(longlong2), 16u);
  EXPECT_EQ(make_float4(1, 2, 3, 4).w, 4.0f);
  EXPECT_EQ(make_uint2(1, 2).y, 2u);
}

TEST(Numbers, BitFunctionsCountAsTheDeviceDoes) {
  EXPECT_EQ(__popc(0xf0f0u), 8);
  EXPECT_EQ(__popcll(~0ull), 64);
  EXPECT_EQ(__clz(0), 32);
  EXPECT_EQ(__clz(1), 31);
  EXPECT_EQ(__clzll(1), 63);
  EXPECT_EQ(__ffs(0), 0);
  EXPECT_EQ(__ffs(8), 4);
  EXPECT_EQ(__ffsll(1ll << 40), 41);
  EXPECT_EQ(__umulhi(0xffffffffu, 0xffffffffu), 0xfffffffeu);
  EXPECT_EQ(__umul64hi(~0ull, 2), 1u);
  EXPECT_EQ(__uint_as_float(__float_as_uint(-1.5f)), -1.5f);
  EXPECT_EQ(__int_as_float(__float_as_int(2.5f)), 2.5f);
  EXPECT_EQ(__float_as_uint(1.0f), 0x3f800000u);
}

TEST(Numbers, MinAndMaxDropANaN) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(max(nan, 1.0f), 1.0f);
  EXPECT_EQ(min(1.0f, nan), 1.0f);
  EXPECT_EQ(max(-3, 2), 2);
  EXPECT_EQ(min(3u, 2u), 2u);
  EXPECT_EQ(max(3ll, 4ll), 4ll);
}

TEST(Numbers, RoundedOperationsAreNotContracted) {
  const float x = 1.0f + 0x1p-12f;
  const float product = x * x;
  EXPECT_EQ(__fadd_rn(__fmul_rn(x, x), -product), 0.0f);
  EXPECT_NE(__fmaf_rn(x, x, -product), 0.0f);
  EXPECT_EQ(__fmaf_rn(x, x, -product), std::fma(x, x, -product));
  EXPECT_EQ(rsqrtf(4.0f), 0.5f);
  EXPECT_EQ(__saturatef(2.0f), 1.0f);
  EXPECT_EQ(__fdividef(1.0f, 4.0f), 0.25f);
  EXPECT_FLOAT_EQ(__expf(1.0f), std::exp(1.0f));
}

// The bfloat16 nearest to x, ties to even: by comparing distances in double, not by bits.
std::uint16_t Nearest(float x) {
  if (std::isnan(x)) return 0x7fff;
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const auto low = static_cast<std::uint16_t>(bits >> 16);
  const auto high = static_cast<std::uint16_t>(low + 1);
  const auto value = [](std::uint16_t half) {
    const auto as_float = std::bit_cast<float>(static_cast<std::uint32_t>(half) << 16);
    // Past the largest finite number lies what would be the next one.
    return std::isinf(as_float) ? std::copysign(0x1p128, as_float) : static_cast<double>(as_float);
  };
  if (std::isinf(x)) return low;
  const double down = std::abs(static_cast<double>(x) - value(low)),
               up = std::abs(value(high) - static_cast<double>(x));
  if (down != up) return down < up ? low : high;
  return low % 2 == 0 ? low : high;
}

TEST(BFloat16, RoundsToNearestWithTiesToEven) {
  std::mt19937 random(7);
  for (int i = 0; i < 200000; ++i) {
    const auto x = std::bit_cast<float>(static_cast<std::uint32_t>(random()));
    ASSERT_EQ(__bfloat16_as_ushort(__float2bfloat16(x)), Nearest(x)) << x;
  }
  for (const std::uint32_t bits : {0x3f808000u, 0x3f818000u, 0x3f808001u, 0x7f7fffffu, 0x7f800000u, 0xff800000u, 0u,
                                   0x80000000u, 0x00000001u, 0x00008000u, 0x00018000u}) {
    const auto x = std::bit_cast<float>(bits);
    EXPECT_EQ(__bfloat16_as_ushort(__float2bfloat16_rn(x)), Nearest(x)) << bits;
  }
}

TEST(BFloat16, KeepsEveryValueAndEveryNaN) {
  for (unsigned bits = 0; bits < 65536; ++bits) {
    const __nv_bfloat16 value = __ushort_as_bfloat16(static_cast<unsigned short>(bits));
    const float wide = __bfloat162float(value);
    if (__hisnan(value)) {
      ASSERT_TRUE(std::isnan(wide));
      ASSERT_EQ(__bfloat16_as_ushort(__float2bfloat16(wide)), 0x7fff);
    } else {
      ASSERT_EQ(__bfloat16_as_ushort(__float2bfloat16(wide)), bits);
    }
  }
}

TEST(BFloat16, PairsKeepTheirOrder) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(1.0f, 2.0f);
  EXPECT_EQ(__low2float(pair), 1.0f);
  EXPECT_EQ(__high2float(pair), 2.0f);
  EXPECT_EQ(__bfloat1622float2(pair).y, 2.0f);
  EXPECT_EQ(std::bit_cast<std::uint32_t>(pair), 0x40003f80u);
}

TEST(BFloat16, ArithmeticRoundsToBFloat16) {
  const __nv_bfloat16 one = __float2bfloat16(1.0f), small = __float2bfloat16(0x1p-9f);
  EXPECT_EQ(__bfloat162float(one + small), 1.0f);
  EXPECT_EQ(__bfloat162float(__hadd(one, __float2bfloat16(0x1p-7f))), 1.0f + 0x1p-7f);
  EXPECT_EQ(__bfloat162float(-one), -1.0f);
  EXPECT_TRUE(small < one);
}

}  // namespace
}  // namespace lockstep::suites::virtual_gpu
