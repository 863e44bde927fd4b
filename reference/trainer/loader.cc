#include "reference/trainer/loader.h"

#include <algorithm>

#include "harness/protocol/dropout.h"

namespace lockstep::trainer {

using protocol::DType;
using protocol::Tensor;

namespace {

bool IsGpt(const RankContext& context) { return context.model().kind == protocol::ModelKind::kGpt; }

}  // namespace

void FreeInputs(MicroBatch& micro_batch) {
  micro_batch.tokens = {};
  micro_batch.positions = {};
  micro_batch.inputs = {};
}

void FreeTargets(MicroBatch& micro_batch) {
  micro_batch.classes = {};
  micro_batch.targets = {};
  micro_batch.mask = {};
}

DataLoader::DataLoader(const RankContext& context)
    : context_(context),
      gpt_(IsGpt(context)),
      stream_(context.inputs.form == "stream"),
      rows_per_sample_(gpt_ ? context.model().sequence : 1) {}

std::vector<std::int64_t> DataLoader::Samples(std::int64_t step, std::int64_t micro_batch) const {
  const auto batch = protocol::BatchSamples(context_.inputs.data.at("order"), step);
  const auto run =
      protocol::MicroBatchRun(static_cast<std::int64_t>(batch.size()), context_.plan(), context_.at.data, micro_batch);
  return {batch.begin() + run.begin, batch.begin() + run.begin + run.size};
}

std::int32_t DataLoader::Token(std::int64_t sample, std::int64_t position, bool target) const {
  const std::int64_t at = sample * rows_per_sample_ + position;
  if (!stream_)
    return context_.inputs.data.at(target ? "targets" : "inputs").As<std::int32_t>()[static_cast<std::size_t>(at)];
  const Tensor& stream = context_.inputs.data.at("stream");
  const auto i = static_cast<std::size_t>(target ? at + 1 : at);
  switch (stream.dtype) {
    case DType::kU8:
      return stream.As<std::uint8_t>()[i];
    case DType::kU16:
      return stream.As<std::uint16_t>()[i];
    default:
      return stream.As<std::int32_t>()[i];
  }
}

std::int64_t DataLoader::ValidTargets(std::int64_t sample) const {
  if (stream_) return rows_per_sample_;
  const auto& data = context_.inputs.data;
  if (gpt_ || context_.model().loss == protocol::LossKind::kCrossEntropy) {
    const auto targets = data.at("targets").As<std::int32_t>().subspan(
        static_cast<std::size_t>(sample * rows_per_sample_), static_cast<std::size_t>(rows_per_sample_));
    return std::count_if(targets.begin(), targets.end(), [](std::int32_t target) { return target >= 0; });
  }
  const auto valid = data.find("valid");
  return valid == data.end() || valid->second.As<std::uint8_t>()[static_cast<std::size_t>(sample)] != 0 ? 1 : 0;
}

std::uint64_t DataLoader::RowKey(std::int64_t step, std::int64_t sample, std::uint64_t site,
                                 std::int64_t position) const {
  return protocol::DropoutRowKey(context_.request.workload.seed, static_cast<std::uint64_t>(step),
                                 static_cast<std::uint64_t>(sample), site, static_cast<std::uint64_t>(position));
}

MicroBatch DataLoader::Describe(std::int64_t step, std::int64_t index) const {
  MicroBatch micro_batch;
  micro_batch.step = step;
  micro_batch.index = index;
  micro_batch.samples = Samples(step, index);
  micro_batch.rows = static_cast<std::int64_t>(micro_batch.samples.size()) * rows_per_sample_;
  for (const std::int64_t sample : micro_batch.samples) micro_batch.valid += ValidTargets(sample);
  const device::Communicator& tensor = *context_.groups.tensor;
  const bool split = context_.sequence_parallel();
  for (int r = 0; r < tensor.Size(); ++r) {
    const protocol::Run all{0, micro_batch.rows};
    const protocol::Run run = split ? protocol::Split(micro_batch.rows, tensor.Size(), r) : all;
    micro_batch.row_counts.push_back(run.size);
    if (r == tensor.Rank()) micro_batch.local = run;
  }
  return micro_batch;
}

device::Buffer DataLoader::Upload(const void* data, std::size_t bytes) const {
  if (bytes == 0) return {};
  device::Buffer buffer = context_.device.Allocate(bytes, device::Category::kActivations);
  context_.device.ToDevice(buffer.data(), data, bytes);
  return buffer;
}

void DataLoader::FillInputs(MicroBatch& micro_batch) const {
  if (gpt_) {
    std::vector<std::int32_t> tokens, positions;
    for (const std::int64_t sample : micro_batch.samples) {
      for (std::int64_t t = 0; t < rows_per_sample_; ++t) tokens.push_back(Token(sample, t, false));
    }
    for (std::int64_t i = 0; i < micro_batch.local.size; ++i) {
      positions.push_back(static_cast<std::int32_t>((micro_batch.local.begin + i) % rows_per_sample_));
    }
    micro_batch.tokens = Upload(tokens.data(), tokens.size() * sizeof(std::int32_t));
    micro_batch.positions = Upload(positions.data(), positions.size() * sizeof(std::int32_t));
    return;
  }
  const protocol::Model& model = context_.model();
  const auto width = static_cast<std::size_t>(model.sizes.front());
  const auto values = context_.inputs.data.at("inputs").As<double>();
  std::vector<float> rows;
  for (std::int64_t i = 0; i < micro_batch.local.size; ++i) {
    const auto sample =
        static_cast<std::size_t>(micro_batch.samples[static_cast<std::size_t>(micro_batch.local.begin + i)]);
    for (std::size_t j = 0; j < width; ++j) rows.push_back(static_cast<float>(values[sample * width + j]));
  }
  micro_batch.inputs = NewActivations(context_.device, micro_batch.local.size, model.sizes.front());
  if (rows.empty()) return;
  context_.device.ToDevice(micro_batch.inputs.data(), rows.data(), rows.size() * sizeof(float));
}

void DataLoader::FillTargets(MicroBatch& micro_batch) const {
  const protocol::Model& model = context_.model();
  if (gpt_ || model.loss == protocol::LossKind::kCrossEntropy) {
    std::vector<std::int32_t> classes;
    for (const std::int64_t sample : micro_batch.samples) {
      for (std::int64_t t = 0; t < rows_per_sample_; ++t) classes.push_back(Token(sample, t, true));
    }
    micro_batch.classes = Upload(classes.data(), classes.size() * sizeof(std::int32_t));
    return;
  }
  const auto width = static_cast<std::size_t>(model.sizes.back());
  const auto values = context_.inputs.data.at("targets").As<double>();
  std::vector<float> targets, mask;
  for (const std::int64_t sample : micro_batch.samples) {
    const auto begin = static_cast<std::size_t>(sample) * width;
    for (std::size_t j = 0; j < width; ++j) targets.push_back(static_cast<float>(values[begin + j]));
    mask.push_back(static_cast<float>(ValidTargets(sample)));
  }
  micro_batch.targets = Upload(targets.data(), targets.size() * sizeof(float));
  micro_batch.mask = Upload(mask.data(), mask.size() * sizeof(float));
}

device::Buffer DataLoader::RowKeys(const MicroBatch& micro_batch, std::uint64_t site) const {
  std::vector<std::uint64_t> keys;
  keys.reserve(static_cast<std::size_t>(micro_batch.local.size));
  for (std::int64_t i = 0; i < micro_batch.local.size; ++i) {
    const std::int64_t row = micro_batch.local.begin + i;
    const std::int64_t sample = micro_batch.samples[static_cast<std::size_t>(row / rows_per_sample_)];
    keys.push_back(RowKey(micro_batch.step, sample, site, row % rows_per_sample_));
  }
  return Upload(keys.data(), keys.size() * sizeof(std::uint64_t));
}

}  // namespace lockstep::trainer
