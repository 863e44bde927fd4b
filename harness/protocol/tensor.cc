#include "harness/protocol/tensor.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "harness/protocol/half.h"
#include "harness/protocol/slice_rows.h"

namespace lockstep::protocol {
namespace {

template <typename T>
Tensor FromSpan(DType dtype, Shape shape, std::span<const T> values) {
  Tensor tensor = Tensor::Zeros(dtype, std::move(shape));
  if (tensor.bytes.size() != values.size_bytes()) {
    throw std::logic_error("tensor of shape " + ToString(tensor.shape) + " made of " + std::to_string(values.size()) +
                           " values");
  }
  if (!values.empty()) std::memcpy(tensor.bytes.data(), values.data(), values.size_bytes());
  return tensor;
}

// Narrows each value with one rounding.
template <typename T, typename Convert>
void Fill(Tensor& tensor, std::span<const double> values, Convert convert) {
  const std::span<T> out = tensor.As<T>();
  std::transform(values.begin(), values.end(), out.begin(), convert);
}

template <typename T>
void FillIntegers(Tensor& tensor, std::span<const double> values) {
  Fill<T>(tensor, values, [](double value) { return static_cast<T>(value); });
}

template <typename T, typename Convert>
std::vector<double> Widen(const Tensor& tensor, Convert convert) {
  const std::span<const T> in = tensor.As<T>();
  std::vector<double> out(in.size());
  std::transform(in.begin(), in.end(), out.begin(), convert);
  return out;
}

template <typename T>
std::vector<double> Widen(const Tensor& tensor) {
  return Widen<T>(tensor, [](T value) { return static_cast<double>(value); });
}

}  // namespace

std::int64_t ElementCount(const Shape& shape) {
  std::int64_t count = 1;
  bool empty = false;
  for (const std::int64_t extent : shape) {
    if (extent < 0) throw std::overflow_error("negative extent in shape " + ToString(shape));
    empty = empty || extent == 0;
    if (extent != 0 && __builtin_mul_overflow(count, extent, &count)) {
      throw std::overflow_error("shape " + ToString(shape) + " has more than 2^63 elements");
    }
  }
  return empty ? 0 : count;
}

std::string ToString(const Shape& shape) {
  std::string text = "[";
  for (std::size_t d = 0; d < shape.size(); ++d) text += (d == 0 ? "" : ", ") + std::to_string(shape[d]);
  return text + "]";
}

Tensor Tensor::Zeros(DType dtype, Shape shape) {
  const auto count = static_cast<std::size_t>(ElementCount(shape));
  return {dtype, std::move(shape), std::vector<std::byte>(count * SizeOf(dtype))};
}

Tensor Tensor::FromFloats(Shape shape, std::span<const float> values) {
  return FromSpan(DType::kF32, std::move(shape), values);
}
Tensor Tensor::FromInt32(Shape shape, std::span<const std::int32_t> values) {
  return FromSpan(DType::kI32, std::move(shape), values);
}
Tensor Tensor::FromInt64(Shape shape, std::span<const std::int64_t> values) {
  return FromSpan(DType::kI64, std::move(shape), values);
}

Tensor Tensor::FromDoubles(DType dtype, Shape shape, std::span<const double> values) {
  if (dtype == DType::kF64) return FromSpan(dtype, std::move(shape), values);
  Tensor tensor = Zeros(dtype, std::move(shape));
  if (static_cast<std::size_t>(tensor.size()) != values.size()) {
    throw std::logic_error("tensor of shape " + ToString(tensor.shape) + " made of " + std::to_string(values.size()) +
                           " values");
  }
  switch (dtype) {
    case DType::kF64:
      break;
    case DType::kF32:
      Fill<float>(tensor, values, [](double value) { return static_cast<float>(value); });
      break;
    case DType::kF16:
      Fill<std::uint16_t>(tensor, values, [](double value) { return FloatToHalf(RoundToOdd(value)); });
      break;
    case DType::kBF16:
      Fill<std::uint16_t>(tensor, values, [](double value) { return FloatToBFloat16(RoundToOdd(value)); });
      break;
    case DType::kI64:
      FillIntegers<std::int64_t>(tensor, values);
      break;
    case DType::kI32:
      FillIntegers<std::int32_t>(tensor, values);
      break;
    case DType::kI16:
      FillIntegers<std::int16_t>(tensor, values);
      break;
    case DType::kI8:
      FillIntegers<std::int8_t>(tensor, values);
      break;
    case DType::kU64:
      FillIntegers<std::uint64_t>(tensor, values);
      break;
    case DType::kU32:
      FillIntegers<std::uint32_t>(tensor, values);
      break;
    case DType::kU16:
      FillIntegers<std::uint16_t>(tensor, values);
      break;
    case DType::kU8:
      FillIntegers<std::uint8_t>(tensor, values);
      break;
    case DType::kBool:
      Fill<std::uint8_t>(tensor, values, [](double value) { return value != 0 ? 1 : 0; });
      break;
  }
  return tensor;
}

std::vector<double> Tensor::ToDoubles() const {
  switch (dtype) {
    case DType::kF64:
      return Widen<double>(*this);
    case DType::kF32:
      return Widen<float>(*this);
    case DType::kF16:
      return Widen<std::uint16_t>(*this, HalfToFloat);
    case DType::kBF16:
      return Widen<std::uint16_t>(*this, BFloat16ToFloat);
    case DType::kI64:
      return Widen<std::int64_t>(*this);
    case DType::kI32:
      return Widen<std::int32_t>(*this);
    case DType::kI16:
      return Widen<std::int16_t>(*this);
    case DType::kI8:
      return Widen<std::int8_t>(*this);
    case DType::kU64:
      return Widen<std::uint64_t>(*this);
    case DType::kU32:
      return Widen<std::uint32_t>(*this);
    case DType::kU16:
      return Widen<std::uint16_t>(*this);
    case DType::kU8:
    case DType::kBool:
      return Widen<std::uint8_t>(*this);
  }
  throw std::logic_error("no such element type");
}

Slice Slice::Whole(Shape global_shape) {
  Shape offset(global_shape.size(), 0);
  Shape shape = global_shape;
  return {std::move(global_shape), std::move(offset), std::move(shape)};
}

Tensor Extract(const Tensor& global, const Slice& slice) {
  if (global.shape != slice.global_shape) throw std::logic_error("Extract: the slice is of another tensor");
  Tensor part = Tensor::Zeros(global.dtype, slice.shape);
  const std::size_t width = SizeOf(global.dtype);
  ForEachRow(slice, [&](std::int64_t from, std::int64_t to, std::int64_t count) {
    std::memcpy(part.bytes.data() + static_cast<std::size_t>(to) * width,
                global.bytes.data() + static_cast<std::size_t>(from) * width, static_cast<std::size_t>(count) * width);
  });
  return part;
}

void Insert(const Tensor& part, const Slice& slice, Tensor& global) {
  if (global.shape != slice.global_shape || part.shape != slice.shape || part.dtype != global.dtype) {
    throw std::logic_error("Insert: part, slice and tensor don't agree");
  }
  const std::size_t width = SizeOf(global.dtype);
  ForEachRow(slice, [&](std::int64_t to, std::int64_t from, std::int64_t count) {
    std::memcpy(global.bytes.data() + static_cast<std::size_t>(to) * width,
                part.bytes.data() + static_cast<std::size_t>(from) * width, static_cast<std::size_t>(count) * width);
  });
}

Run Split(std::int64_t n, std::int64_t parts, std::int64_t index) {
  if (n < 0 || parts < 1 || index < 0 || index >= parts) throw std::logic_error("Split: index or count out of range");
  const std::int64_t size = n / parts;
  const std::int64_t longer = n % parts;
  return {index * size + std::min(index, longer), size + (index < longer ? 1 : 0)};
}

}  // namespace lockstep::protocol
