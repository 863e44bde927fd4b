#include "reference/device/gemm_check.h"

#include <stdexcept>

namespace lockstep::device {

void RequireValid(const Gemm& gemm) {
  if (gemm.a.element != gemm.b.element) throw std::logic_error("Multiply: a and b are of different element types");
  if (gemm.accumulate && gemm.epilogue != Epilogue::kNone) {
    throw std::logic_error("Multiply: an epilogue after accumulation");
  }
  if (gemm.epilogue != Epilogue::kNone && gemm.bias == nullptr) throw std::logic_error("Multiply: no bias");
  if (gemm.epilogue == Epilogue::kNone && gemm.before_activation != nullptr) {
    throw std::logic_error("Multiply: before_activation without an epilogue");
  }
}

}  // namespace lockstep::device
