#include "harness/oracle/samples.h"

#include <algorithm>

#include "harness/protocol/bad_input.h"

namespace lockstep::oracle {
namespace {

const protocol::Tensor& DataOf(const protocol::Inputs& inputs, const std::string& name) {
  const auto found = inputs.data.find(name);
  if (found == inputs.data.end()) throw protocol::BadInput("data: " + name, "missing");
  return found->second;
}

// Row `id` of a tensor whose first dimension counts samples.
template <typename T>
std::span<const T> RowOf(const protocol::Tensor& tensor, std::int64_t id) {
  const std::int64_t width = tensor.size() / tensor.shape.at(0);
  return tensor.As<T>().subspan(static_cast<std::size_t>(id * width), static_cast<std::size_t>(width));
}

template <typename T>
std::vector<T> ToVector(std::span<const T> row) {
  return {row.begin(), row.end()};
}

// `count` tokens of the stream from `begin`, in whatever type it is stored.
std::vector<std::int32_t> StreamTokens(const protocol::Tensor& stream, std::int64_t begin, std::int64_t count) {
  const auto widened = [&](const auto& all) {
    std::vector<std::int32_t> tokens(static_cast<std::size_t>(count));
    for (std::size_t i = 0; i < tokens.size(); ++i) tokens[i] = all[static_cast<std::size_t>(begin) + i];
    return tokens;
  };
  switch (stream.dtype) {
    case protocol::DType::kU8:
      return widened(stream.As<std::uint8_t>());
    case protocol::DType::kU16:
      return widened(stream.As<std::uint16_t>());
    case protocol::DType::kI32:
      return widened(stream.As<std::int32_t>());
    default:
      throw protocol::BadInput("data: stream", "type " + std::string(protocol::NameOf(stream.dtype)),
                               "expected U8, U16 or I32");
  }
}

}  // namespace

std::int64_t TokenSample::valid() const {
  return std::count_if(targets.begin(), targets.end(), [](std::int32_t target) { return target >= 0; });
}

TokenSample TokensOf(const protocol::Inputs& inputs, std::int64_t sequence, std::int64_t id) {
  if (inputs.form == "stream") {
    const protocol::Tensor& stream = DataOf(inputs, "stream");
    return {StreamTokens(stream, id * sequence, sequence), StreamTokens(stream, id * sequence + 1, sequence)};
  }
  return {ToVector(RowOf<std::int32_t>(DataOf(inputs, "inputs"), id)),
          ToVector(RowOf<std::int32_t>(DataOf(inputs, "targets"), id))};
}

FeatureSample FeaturesOf(const protocol::Inputs& inputs, protocol::LossKind loss, std::int64_t id) {
  FeatureSample sample;
  sample.features = ToVector(RowOf<double>(DataOf(inputs, "inputs"), id));
  if (loss == protocol::LossKind::kSquaredError) {
    sample.target_values = ToVector(RowOf<double>(DataOf(inputs, "targets"), id));
    sample.valid = !inputs.data.contains("valid") || RowOf<std::uint8_t>(DataOf(inputs, "valid"), id)[0] != 0;
  } else {
    sample.target_class = RowOf<std::int32_t>(DataOf(inputs, "targets"), id)[0];
    sample.valid = sample.target_class >= 0;
  }
  return sample;
}

}  // namespace lockstep::oracle
