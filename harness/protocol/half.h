// Conversions of 16-bit floats that only tensor.cc needs; bf16's own are public in tensor.h.
#pragma once

#include <cstdint>

namespace lockstep::protocol {

float HalfToFloat(std::uint16_t bits);   // IEEE binary16, exact
std::uint16_t FloatToHalf(float value);  // round to nearest, ties to even; NaN stays NaN

// Truncated to fp32 with the last bit set when inexact: rounding the result to 16 bits is then one rounding of `value`
// (fp32 has more than two bits to spare), where rounding twice to nearest would be wrong in ties.
float RoundToOdd(double value);

}  // namespace lockstep::protocol
