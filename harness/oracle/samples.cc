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
std::vector<T> RowOf(const protocol::Tensor& tensor, std::int64_t id) {
  const std::int64_t width = tensor.size() / tensor.shape.at(0);
  const auto all = tensor.As<T>();
  return {all.begin() + id * width, all.begin() + (id + 1) * width};
}

// `count` tokens of the stream from `begin`, in whatever type it is stored.
std::vector<std::int32_t> StreamTokens(const protocol::Tensor& stream, std::int64_t begin, std::int64_t count) {
  std::vector<std::int32_t> tokens;
  for (std::int64_t i = begin; i < begin + count; ++i) {
    const std::size_t at = static_cast<std::size_t>(i);
    switch (stream.dtype) {
      case protocol::DType::kU8:
        tokens.push_back(stream.As<std::uint8_t>()[at]);
        break;
      case protocol::DType::kU16:
        tokens.push_back(stream.As<std::uint16_t>()[at]);
        break;
      case protocol::DType::kI32:
        tokens.push_back(stream.As<std::int32_t>()[at]);
        break;
      default:
        throw protocol::BadInput("data: stream", "type " + std::string(protocol::NameOf(stream.dtype)),
                                 "expected U8, U16 or I32");
    }
  }
  return tokens;
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
  return {RowOf<std::int32_t>(DataOf(inputs, "inputs"), id), RowOf<std::int32_t>(DataOf(inputs, "targets"), id)};
}

FeatureSample FeaturesOf(const protocol::Inputs& inputs, protocol::LossKind loss, std::int64_t id) {
  FeatureSample sample;
  sample.features = RowOf<double>(DataOf(inputs, "inputs"), id);
  if (loss == protocol::LossKind::kSquaredError) {
    sample.target_values = RowOf<double>(DataOf(inputs, "targets"), id);
    sample.valid = !inputs.data.contains("valid") || RowOf<std::uint8_t>(DataOf(inputs, "valid"), id).at(0) != 0;
  } else {
    sample.target_class = RowOf<std::int32_t>(DataOf(inputs, "targets"), id).at(0);
    sample.valid = sample.target_class >= 0;
  }
  return sample;
}

}  // namespace lockstep::oracle
