#include <array>
#include <bit>
#include <cmath>
#include <stdexcept>

#include "harness/protocol/half.h"
#include "harness/protocol/tensor.h"

namespace lockstep::protocol {
namespace {

struct TypeInfo {
  DType type;
  std::string_view name;
  std::size_t size;  // bytes
};

constexpr std::array<TypeInfo, 13> kTypes = {{{DType::kF64, "F64", 8},
                                              {DType::kF32, "F32", 4},
                                              {DType::kF16, "F16", 2},
                                              {DType::kBF16, "BF16", 2},
                                              {DType::kI64, "I64", 8},
                                              {DType::kI32, "I32", 4},
                                              {DType::kI16, "I16", 2},
                                              {DType::kI8, "I8", 1},
                                              {DType::kU64, "U64", 8},
                                              {DType::kU32, "U32", 4},
                                              {DType::kU16, "U16", 2},
                                              {DType::kU8, "U8", 1},
                                              {DType::kBool, "BOOL", 1}}};

const TypeInfo& InfoOf(DType type) {
  for (const TypeInfo& info : kTypes) {
    if (info.type == type) return info;
  }
  throw std::logic_error("no such element type");
}

}  // namespace

std::size_t SizeOf(DType type) { return InfoOf(type).size; }
std::string_view NameOf(DType type) { return InfoOf(type).name; }

std::optional<DType> DTypeFromName(std::string_view name) {
  for (const TypeInfo& info : kTypes) {
    if (info.name == name) return info.type;
  }
  return std::nullopt;
}

double UnitRoundoff(DType type) {
  switch (type) {
    case DType::kF64:
      return 0x1p-53;
    case DType::kF32:
      return 0x1p-24;
    case DType::kF16:
      return 0x1p-11;
    case DType::kBF16:
      return 0x1p-8;
    default:
      throw std::logic_error("unit round-off of a type that is not floating");
  }
}

float BFloat16ToFloat(std::uint16_t bits) { return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16); }

std::uint16_t FloatToBFloat16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if (std::isnan(value)) return static_cast<std::uint16_t>((bits >> 16) | 0x40);  // quiet, never rounded to infinity
  return static_cast<std::uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

float HalfToFloat(std::uint16_t bits) {
  const int exponent = (bits >> 10) & 0x1f;
  const int fraction = bits & 0x3ff;
  float magnitude = 0;
  if (exponent == 0x1f) {
    magnitude = fraction != 0 ? NAN : INFINITY;
  } else if (exponent == 0) {
    magnitude = std::ldexp(static_cast<float>(fraction), -24);
  } else {
    magnitude = std::ldexp(static_cast<float>(fraction | 0x400), exponent - 25);
  }
  return (bits & 0x8000) != 0 ? -magnitude : magnitude;
}

std::uint16_t FloatToHalf(float value) {
  const std::uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  const float magnitude = std::fabs(value);
  std::uint32_t bits = 0;
  if (std::isnan(value)) {
    bits = 0x7e00;
  } else if (magnitude >= 65520.0f) {  // halfway between the largest half and 2^16
    bits = 0x7c00;
  } else if (magnitude < 0x1p-14f) {  // subnormal: units of 2^-24
    bits = static_cast<std::uint32_t>(std::nearbyint(magnitude * 0x1p24f));
  } else {
    const auto wide = std::bit_cast<std::uint32_t>(magnitude);
    bits = ((wide + 0xfff + ((wide >> 13) & 1)) >> 13) - (112u << 10);
  }
  return static_cast<std::uint16_t>(sign | bits);
}

float RoundToOdd(double value) {
  const auto nearest = static_cast<float>(value);
  if (std::isnan(value) || static_cast<double>(nearest) == value) return nearest;
  const float truncated =
      std::fabs(static_cast<double>(nearest)) > std::fabs(value) ? std::nextafter(nearest, 0.0f) : nearest;
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(truncated) | 1u);
}

}  // namespace lockstep::protocol
