#include "harness/protocol/inputs.h"

#include <algorithm>
#include <stdexcept>

#include "harness/protocol/bad_input.h"
#include "harness/protocol/fields.h"
#include "harness/protocol/parameters.h"
#include "harness/protocol/safetensors.h"
#include "harness/protocol/sha256.h"

namespace lockstep::protocol {
namespace {

const Tensor& Find(const std::map<std::string, Tensor>& tensors, const std::string& name, const std::string& where) {
  const auto found = tensors.find(name);
  if (found == tensors.end()) throw BadInput(where, "has no tensor \"" + name + "\"");
  return found->second;
}

void Expect(const Tensor& tensor, DType dtype, const Shape& shape, const std::string& where) {
  if (tensor.dtype != dtype || tensor.shape != shape) {
    throw BadInput(where, "is " + std::string(NameOf(tensor.dtype)) + " " + ToString(tensor.shape),
                   "expected " + std::string(NameOf(dtype)) + " " + ToString(shape));
  }
}

template <typename T>
void ExpectRange(const Tensor& tensor, std::int64_t min, std::int64_t max, const std::string& where) {
  const auto values = tensor.As<T>();
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto value = static_cast<std::int64_t>(values[i]);
    if (value < min || value > max) {
      throw BadInput(where, "holds " + std::to_string(value) + " at element " + std::to_string(i),
                     "expected " + std::to_string(min) + " to " + std::to_string(max));
    }
  }
}

// Checks the data of form "stream"; gives the number of samples.
std::int64_t ValidateStream(const Inputs& inputs, const Model& model, const std::string& where) {
  const Tensor& stream = Find(inputs.data, "stream", where);
  const std::string at = where + ": stream";
  if (stream.shape.size() != 1) throw BadInput(at, "has shape " + ToString(stream.shape), "expected one dimension");
  if (stream.dtype == DType::kU8) {
    ExpectRange<std::uint8_t>(stream, 0, model.vocabulary - 1, at);
  } else if (stream.dtype == DType::kU16) {
    ExpectRange<std::uint16_t>(stream, 0, model.vocabulary - 1, at);
  } else if (stream.dtype == DType::kI32) {
    ExpectRange<std::int32_t>(stream, 0, model.vocabulary - 1, at);
  } else {
    throw BadInput(at, "is " + std::string(NameOf(stream.dtype)), "expected U8, U16 or I32");
  }
  return (stream.shape[0] - 1) / model.sequence;
}

std::int64_t ValidateGpt(const Inputs& inputs, const Model& model, const std::string& where) {
  if (inputs.form == "stream") return ValidateStream(inputs, model, where);
  const Tensor &tokens = Find(inputs.data, "inputs", where), &targets = Find(inputs.data, "targets", where);
  const std::int64_t samples = tokens.shape.empty() ? 0 : tokens.shape[0];
  Expect(tokens, DType::kI32, {samples, model.sequence}, where + ": inputs");
  Expect(targets, DType::kI32, {samples, model.sequence}, where + ": targets");
  ExpectRange<std::int32_t>(tokens, 0, model.vocabulary - 1, where + ": inputs");
  ExpectRange<std::int32_t>(targets, -1, model.vocabulary - 1, where + ": targets");
  return samples;
}

std::int64_t ValidateMlp(const Inputs& inputs, const Model& model, const std::string& where) {
  if (inputs.form != "samples")
    throw BadInput(where, "has form \"" + inputs.form + "\"", "expected samples for an mlp");
  const Tensor &features = Find(inputs.data, "inputs", where), &targets = Find(inputs.data, "targets", where);
  const std::int64_t samples = features.shape.empty() ? 0 : features.shape[0];
  Expect(features, DType::kF64, {samples, model.sizes.front()}, where + ": inputs");
  if (model.loss == LossKind::kCrossEntropy) {
    Expect(targets, DType::kI32, {samples}, where + ": targets");
    ExpectRange<std::int32_t>(targets, -1, model.sizes.back() - 1, where + ": targets");
  } else {
    Expect(targets, DType::kF64, {samples, model.sizes.back()}, where + ": targets");
    const auto valid = inputs.data.find("valid");
    if (valid != inputs.data.end()) {
      Expect(valid->second, DType::kU8, {samples}, where + ": valid");
      ExpectRange<std::uint8_t>(valid->second, 0, 1, where + ": valid");
    }
  }
  return samples;
}

void ValidateOrder(const Tensor& order, const Workload& workload, std::int64_t samples, const std::string& where) {
  Expect(order, DType::kI64, {workload.steps, workload.global_batch}, where);
  ExpectRange<std::int64_t>(order, -1, samples - 1, where);
  const auto ids = order.As<std::int64_t>();
  for (std::size_t i = 1; i < ids.size(); ++i) {
    const bool same_row = i % static_cast<std::size_t>(workload.global_batch) != 0;
    if (same_row && ids[i - 1] == -1 && ids[i] != -1) {
      throw BadInput(where, "has a sample after -1 at element " + std::to_string(i),
                     "expected -1 at the end of a row only");
    }
  }
}

}  // namespace

void ValidateInputs(const Inputs& inputs, const Workload& workload, const std::string& where) {
  const Model& model = workload.model;
  if (model.kind == ModelKind::kOwn) return;
  const std::string parameters = where + "/parameters.safetensors", data = where + "/data.safetensors";
  const auto expected = Parameters(model);
  for (const Parameter& parameter : expected) {
    Expect(Find(inputs.parameters, parameter.name, parameters), DType::kF64, parameter.shape,
           parameters + ": " + parameter.name);
  }
  if (inputs.parameters.size() != expected.size()) {
    throw BadInput(parameters, "has " + std::to_string(inputs.parameters.size()) + " tensors",
                   "expected the model's " + std::to_string(expected.size()) + " parameters");
  }
  if (inputs.form != "samples" && inputs.form != "stream") {
    throw BadInput(data + ": __metadata__.form", "is \"" + inputs.form + "\"", "expected samples or stream");
  }
  static const std::vector<std::string> kTensors = {"order", "inputs", "targets", "valid", "stream"};
  for (const auto& [name, tensor] : inputs.data) {
    if (std::find(kTensors.begin(), kTensors.end(), name) != kTensors.end()) continue;
    const std::string nearest = Nearest(name, kTensors);
    throw BadInput(data + ": " + name, "unknown tensor", nearest.empty() ? "" : "expected \"" + nearest + "\"");
  }
  const std::int64_t samples =
      model.kind == ModelKind::kGpt ? ValidateGpt(inputs, model, data) : ValidateMlp(inputs, model, data);
  ValidateOrder(Find(inputs.data, "order", data), workload, samples, data + ": order");
}

void WriteInputs(const std::filesystem::path& request_folder, const Inputs& inputs) {
  if (!inputs.parameters.empty())
    WriteSafetensors(request_folder / "parameters.safetensors", inputs.parameters, {}, Durability::kRenamed);
  if (!inputs.data.empty())
    WriteSafetensors(request_folder / "data.safetensors", inputs.data, {{"form", inputs.form}}, Durability::kRenamed);
}

Inputs ReadInputs(const std::filesystem::path& request_folder, const Workload& workload) {
  Inputs inputs;
  if (workload.model.kind == ModelKind::kOwn) return inputs;
  const auto parameters = SafetensorsFile::Open(request_folder / "parameters.safetensors");
  for (const auto& [name, entry] : parameters.entries()) inputs.parameters[name] = parameters.Load(name);
  const auto data = SafetensorsFile::Open(request_folder / "data.safetensors");
  for (const auto& [name, entry] : data.entries()) inputs.data[name] = data.Load(name);
  const auto form = data.metadata().find("form");
  if (form == data.metadata().end())
    throw BadInput(data.name() + ": __metadata__.form", "is missing", "expected samples or stream");
  inputs.form = form->second;
  ValidateInputs(inputs, workload, request_folder.string());
  return inputs;
}

std::vector<std::int64_t> BatchSamples(const Tensor& order, std::int64_t step) {
  if (order.dtype != DType::kI64 || order.shape.size() != 2 || step < 1 || step > order.shape[0]) {
    throw std::logic_error("BatchSamples: no step " + std::to_string(step) + " in an order of shape " +
                           ToString(order.shape));
  }
  const auto batch = static_cast<std::size_t>(order.shape[1]);
  std::vector<std::int64_t> samples;
  for (const std::int64_t sample :
       order.As<std::int64_t>().subspan(static_cast<std::size_t>(step - 1) * batch, batch)) {
    if (sample >= 0) samples.push_back(sample);
  }
  return samples;
}

std::string HashInputs(const Inputs& inputs) {
  Sha256Stream hash;
  hash.Update(inputs.form);
  for (const auto* tensors : {&inputs.parameters, &inputs.data}) {
    for (const auto& [name, tensor] : *tensors) {
      // Name, type and shape say how many bytes follow: no two inputs make the same stream.
      hash.Update("\n" + name + " " + std::string(NameOf(tensor.dtype)) + " " + ToString(tensor.shape) + "\n");
      hash.Update(tensor.bytes);
    }
  }
  return hash.Hex();
}

}  // namespace lockstep::protocol
