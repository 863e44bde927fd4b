// Data sets from files: what a file is, and what a workload gets from it.
#include <algorithm>

#include "harness/inputs/file_formats.h"
#include "harness/inputs/make.h"
#include "harness/inputs/parts.h"
#include "harness/protocol/bad_input.h"

namespace lockstep::inputs {
namespace {

using protocol::BadInput;
using protocol::Tensor;

// The largest token of a stream, and where it first stands.
struct Largest {
  std::int64_t token = -1, position = 0;
};

template <typename T>
Largest LargestOf(std::span<const T> tokens) {
  const auto at = std::max_element(tokens.begin(), tokens.end());
  return at == tokens.end() ? Largest{} : Largest{*at, at - tokens.begin()};
}

Largest LargestToken(const Tensor& stream) {
  return stream.dtype == protocol::DType::kU8 ? LargestOf(stream.As<std::uint8_t>())
                                              : LargestOf(stream.As<std::uint16_t>());
}

// How many of the file's samples the workload takes.
std::int64_t Taken(const protocol::Workload& workload, std::int64_t held, const std::string& file) {
  if (workload.data.samples > held) {
    throw BadInput("data.samples", std::to_string(workload.data.samples) + " samples",
                   file + " holds " + std::to_string(held));
  }
  return workload.data.samples > 0 ? workload.data.samples : held;
}

void RefuseLabels(const std::string& file, const std::string& labels) {
  if (labels.empty()) return;
  throw BadInput("labels", labels + " can't label " + file, "labels belong to IDX images, and this is text or tokens");
}

protocol::Inputs StreamData(const protocol::Workload& workload, const std::string& content) {
  const protocol::Model& model = workload.model;
  const std::string& file = workload.data.file;
  RefuseLabels(file, workload.data.labels);
  Tensor stream = Stream(file, content);
  const Largest largest = LargestToken(stream);
  if (largest.token >= model.vocabulary) {
    throw BadInput(file + ": token " + std::to_string(largest.position),
                   "id " + std::to_string(largest.token) + " is outside the model's vocabulary of " +
                       std::to_string(model.vocabulary),
                   "model.vocabulary must be at least " + std::to_string(largest.token + 1));
  }
  const std::int64_t samples = (stream.size() - 1) / model.sequence;  // one more for the last target
  if (samples < 1) {
    throw BadInput(file, std::to_string(stream.size()) + " tokens",
                   "one sample needs " + std::to_string(model.sequence + 1));
  }
  protocol::Inputs inputs;
  inputs.form = "stream";
  inputs.data["order"] = OrderOf(workload, Taken(workload, samples, file), file);
  inputs.data["stream"] = std::move(stream);
  return inputs;
}

Tensor ReadLabels(const std::string& labels, std::int64_t images) {
  if (labels.empty()) throw BadInput("data.labels", "no file is named", "IDX images need IDX labels");
  Tensor read = Idx(labels, ReadWhole(labels), 1);
  if (read.size() != images) {
    throw BadInput(labels, std::to_string(read.size()) + " labels", std::to_string(images) + " images");
  }
  return read;
}

protocol::Inputs ImageData(const protocol::Workload& workload, const std::string& content) {
  const protocol::Model& model = workload.model;
  const std::string& file = workload.data.file;
  const Tensor images = Idx(file, content, 3);
  const std::int64_t held = images.shape[0], features = images.shape[1] * images.shape[2];
  if (features != model.sizes.front()) {
    throw BadInput("model.sizes", "begins with " + std::to_string(model.sizes.front()),
                   file + " holds images of " + std::to_string(features) + " pixels");
  }
  const Tensor labels = ReadLabels(workload.data.labels, held);
  const Largest largest = LargestToken(labels);
  if (largest.token >= model.sizes.back()) {
    throw BadInput("model.sizes", "ends with " + std::to_string(model.sizes.back()),
                   workload.data.labels + " holds class " + std::to_string(largest.token));
  }
  const std::int64_t samples = Taken(workload, held, file);
  Tensor inputs = Tensor::Zeros(protocol::DType::kF64, {samples, features});
  const auto values = inputs.As<double>();
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = images.As<std::uint8_t>()[i] / 256.0;  // eight bits and a power of two: exact in bf16 too
  }
  std::vector<std::int32_t> classes(labels.As<std::uint8_t>().begin(), labels.As<std::uint8_t>().begin() + samples);
  protocol::Inputs made;
  made.data["order"] = OrderOf(workload, samples, file);
  made.data["inputs"] = std::move(inputs);
  made.data["targets"] = Tensor::FromInt32({samples}, classes);
  return made;
}

}  // namespace

protocol::Inputs FileData(const protocol::Workload& workload) {
  const protocol::Model& model = workload.model;
  if (workload.data.uneven) throw BadInput("data.uneven", "a file's targets all count", "expected false");
  const std::string content = ReadWhole(workload.data.file);
  const bool idx = FormatOf(content) == Format::kIdx;
  if (idx != (model.kind == protocol::ModelKind::kMlp)) {
    throw BadInput(workload.data.file, idx ? "IDX images train an mlp" : "text and tokens train a gpt",
                   std::string("the model is ") + std::string(protocol::NameOf(model.kind)));
  }
  if (idx && model.loss != protocol::LossKind::kCrossEntropy) {
    throw BadInput("model.loss", "IDX labels are classes", "expected cross_entropy");
  }
  return idx ? ImageData(workload, content) : StreamData(workload, content);
}

FileKind Inspect(const std::filesystem::path& file, const std::filesystem::path& labels) {
  const std::string content = ReadWhole(file);
  FileKind found;
  if (FormatOf(content) == Format::kIdx) {
    const Tensor images = Idx(file, content, 3);
    found = {"idx", 0, images.shape[1] * images.shape[2], 0, images.shape[0]};
    found.classes = LargestToken(ReadLabels(labels.string(), found.length)).token + 1;
    return found;
  }
  const Tensor stream = Stream(file, content);
  RefuseLabels(file.string(), labels.string());
  const bool text = stream.dtype == protocol::DType::kU8;
  found.kind = text ? "text" : "tokens";
  found.vocabulary = text ? 256 : LargestToken(stream).token + 1;
  found.length = stream.size();
  return found;
}

}  // namespace lockstep::inputs
