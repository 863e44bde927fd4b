// Element types, tensors in host memory, and slices of global tensors.
//
// A slice is a box: `shape` elements from `offset` of a tensor of `global_shape`. Every parameter's layout is chosen
// so that what a rank holds under tensor parallelism is one box (see PROTOCOL.md, "Parameters").
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lockstep::protocol {

using Shape = std::vector<std::int64_t>;

enum class DType { kF64, kF32, kF16, kBF16, kI64, kI32, kI16, kI8, kU64, kU32, kU16, kU8, kBool };

std::size_t SizeOf(DType type);                             // bytes an element
std::string_view NameOf(DType type);                        // safetensors spelling: "F64", "BF16", ...
std::optional<DType> DTypeFromName(std::string_view name);  // nullopt: unknown
double UnitRoundoff(DType type);                            // 2^-53, 2^-24, 2^-11, 2^-8; floating types only

float BFloat16ToFloat(std::uint16_t bits);
std::uint16_t FloatToBFloat16(float value);  // round to nearest, ties to even; NaN stays NaN

std::int64_t ElementCount(const Shape& shape);  // 1 for a scalar (empty shape); throws on overflow
std::string ToString(const Shape& shape);       // "[3, 4]"

// Row-major, contiguous, owned.
struct Tensor {
  DType dtype = DType::kF32;
  Shape shape;
  std::vector<std::byte> bytes;  // ElementCount(shape) * SizeOf(dtype)

  static Tensor Zeros(DType dtype, Shape shape);
  static Tensor FromDoubles(DType dtype, Shape shape, std::span<const double> values);
  static Tensor FromFloats(Shape shape, std::span<const float> values);        // F32
  static Tensor FromInt32(Shape shape, std::span<const std::int32_t> values);  // I32
  static Tensor FromInt64(Shape shape, std::span<const std::int64_t> values);  // I64

  std::int64_t size() const { return ElementCount(shape); }
  template <typename T>
  std::span<T> As() {
    return {reinterpret_cast<T*>(bytes.data()), bytes.size() / sizeof(T)};
  }
  template <typename T>
  std::span<const T> As() const {
    return {reinterpret_cast<const T*>(bytes.data()), bytes.size() / sizeof(T)};
  }
  std::vector<double> ToDoubles() const;  // any numeric type, widened exactly (I64 to 2^53)
};

struct Slice {
  Shape global_shape;
  Shape offset;  // one entry a dimension
  Shape shape;   // one entry a dimension; offset + shape <= global_shape

  static Slice Whole(Shape global_shape);
  bool IsWhole() const { return shape == global_shape; }
  bool operator==(const Slice&) const = default;
};

// Copies the box `slice` out of `global` (shape slice.global_shape), or into it. Throws std::logic_error on a mismatch.
Tensor Extract(const Tensor& global, const Slice& slice);
void Insert(const Tensor& part, const Slice& slice, Tensor& global);

// How n things are dealt to `parts` in contiguous runs: the first n % parts runs get one more. The one rule of the
// protocol for batches over replicas, samples over micro-batches, rows and heads over tensor ranks, layers over stages.
struct Run {
  std::int64_t begin = 0;
  std::int64_t size = 0;
};
Run Split(std::int64_t n, std::int64_t parts, std::int64_t index);

}  // namespace lockstep::protocol
