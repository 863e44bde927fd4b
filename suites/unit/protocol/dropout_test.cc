#include "harness/protocol/dropout.h"

#include <gtest/gtest.h>

#include <array>

namespace lockstep::protocol {
namespace {

struct TestValue {
  std::uint64_t seed, step, sample, site, position, row;
  std::array<float, 3> units;  // u 2^24 of features 0, 1, 1023
};

// PROTOCOL.md, "Test values".
constexpr TestValue kValues[] = {
    {1, 1, 0, 0, 0, 0xaebf9c7aa1fce165, {8133987, 3619930, 4095838}},
    {1, 1, 5, 3, 7, 0x0efb6c5d9bd54909, {2019705, 13887146, 12662897}},
    {42, 9, 123456789, 2, 15, 0xdcfd06a04fbd388d, {7923062, 8851915, 3997292}},
};

TEST(Dropout, GivesTheTestValuesOfTheProtocol) {
  for (const TestValue& value : kValues) {
    const std::uint64_t row = DropoutRowKey(value.seed, value.step, value.sample, value.site, value.position);
    EXPECT_EQ(row, value.row);
    EXPECT_EQ(DropoutUniform(row, 0) * 0x1p24f, value.units[0]);
    EXPECT_EQ(DropoutUniform(row, 1) * 0x1p24f, value.units[1]);
    EXPECT_EQ(DropoutUniform(row, 1023) * 0x1p24f, value.units[2]);
  }
}

TEST(Dropout, IsUniform) {
  int below = 0;
  for (std::uint64_t i = 0; i < 100'000; ++i) below += DropoutUniform(DropoutRowKey(7, 1, i, 0, 0), i) < 0.25f ? 1 : 0;
  EXPECT_NEAR(below, 25'000, 700);  // five standard deviations
}

TEST(Dropout, EveryWordOfTheKeyChangesTheMask) {
  const std::uint64_t key = DropoutRowKey(1, 2, 3, 4, 5);
  EXPECT_NE(key, DropoutRowKey(2, 2, 3, 4, 5));
  EXPECT_NE(key, DropoutRowKey(1, 3, 3, 4, 5));
  EXPECT_NE(key, DropoutRowKey(1, 2, 4, 4, 5));
  EXPECT_NE(key, DropoutRowKey(1, 2, 3, 5, 5));
  EXPECT_NE(key, DropoutRowKey(1, 2, 3, 4, 6));
}

}  // namespace
}  // namespace lockstep::protocol
