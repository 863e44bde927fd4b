// What no backend can multiply: one set of words for all of them.
#pragma once

#include "reference/device/device.h"

namespace lockstep::device {

// Throws std::logic_error where operands and epilogue don't go together.
void RequireValid(const Gemm& gemm);

}  // namespace lockstep::device
