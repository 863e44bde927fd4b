#include "harness/protocol/workload.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <numbers>

#include "harness/protocol/bad_input.h"
#include "harness/protocol/fields.h"
#include "harness/protocol/files.h"
#include "harness/protocol/names.h"

namespace lockstep::protocol {
namespace {

constexpr std::int64_t kMaxExtent = 1 << 24;  // of any dimension: products of three stay within 2^63
constexpr std::int64_t kMaxLayers = 4096;
constexpr std::int64_t kMaxSteps = 1'000'000'000;

constexpr std::array<Spelling<ModelKind>, 3> kModels = {
    {{ModelKind::kMlp, "mlp"}, {ModelKind::kGpt, "gpt"}, {ModelKind::kOwn, "own"}}};
constexpr std::array<Spelling<OptimizerKind>, 3> kOptimizers = {
    {{OptimizerKind::kSgd, "sgd"}, {OptimizerKind::kMomentum, "momentum"}, {OptimizerKind::kAdamW, "adamw"}}};
constexpr std::array<Spelling<Precision>, 3> kPrecisions = {
    {{Precision::kF64, "fp64"}, {Precision::kF32, "fp32"}, {Precision::kBF16, "bf16"}}};
constexpr std::array<Spelling<Activation>, 2> kActivations = {
    {{Activation::kRelu, "relu"}, {Activation::kGelu, "gelu"}}};
constexpr std::array<Spelling<LossKind>, 2> kLosses = {
    {{LossKind::kSquaredError, "squared_error"}, {LossKind::kCrossEntropy, "cross_entropy"}}};
constexpr std::array<Spelling<DataKind>, 3> kData = {
    {{DataKind::kSeeded, "seeded"}, {DataKind::kExactGrid, "exact_grid"}, {DataKind::kFile, "file"}}};

Model ModelFrom(Fields fields) {
  Model model;
  model.kind = ChoiceIn(kModels, fields, "kind", ModelKind::kGpt);
  if (model.kind == ModelKind::kMlp) {
    model.sizes = fields.Ints("sizes", {8, 16, 4});
    model.activation = ChoiceIn(kActivations, fields, "activation", Activation::kRelu);
    model.loss = ChoiceIn(kLosses, fields, "loss", LossKind::kSquaredError);
  } else if (model.kind == ModelKind::kGpt) {
    model.loss = LossKind::kCrossEntropy;
    model.layers = fields.Int("layers", 1, kMaxLayers, 2);
    model.width = fields.Int("width", 1, kMaxExtent, 32);
    model.heads = fields.Int("heads", 1, kMaxExtent, 4);
    model.mlp_width = fields.Int("mlp_width", 1, kMaxExtent, std::min(4 * model.width, kMaxExtent));
    model.vocabulary = fields.Int("vocabulary", 1, kMaxExtent, 256);
    model.sequence = fields.Int("sequence", 1, kMaxExtent, 32);
    model.tied = fields.Bool("tied", true);
    model.dropout = fields.Number("dropout", 0.0);
  } else {
    model.own_name = fields.String("name");
  }
  fields.Done();
  return model;
}

Optimizer OptimizerFrom(Fields fields) {
  Optimizer optimizer;
  optimizer.kind = ChoiceIn(kOptimizers, fields, "kind", optimizer.kind);
  optimizer.learning_rate = fields.Number("learning_rate", optimizer.kind == OptimizerKind::kAdamW ? 1e-3 : 0.1);
  optimizer.momentum = fields.Number("momentum", optimizer.momentum);
  optimizer.beta1 = fields.Number("beta1", optimizer.beta1);
  optimizer.beta2 = fields.Number("beta2", optimizer.beta2);
  optimizer.epsilon = fields.Number("epsilon", optimizer.epsilon);
  optimizer.weight_decay = fields.Number("weight_decay", optimizer.weight_decay);
  optimizer.clip_norm = fields.Number("clip_norm", optimizer.clip_norm);
  optimizer.warmup_steps = fields.Int("warmup_steps", 0, kMaxSteps, optimizer.warmup_steps);
  optimizer.cosine_steps = fields.Int("cosine_steps", 0, kMaxSteps, optimizer.cosine_steps);
  optimizer.minimum_learning_rate = fields.Number("minimum_learning_rate", optimizer.minimum_learning_rate);
  fields.Done();
  return optimizer;
}

Data DataFrom(Fields fields) {
  Data data;
  data.kind = ChoiceIn(kData, fields, "kind", data.kind);
  data.samples = fields.Int("samples", 0, std::numeric_limits<std::int32_t>::max(), data.samples);
  data.uneven = fields.Bool("uneven", data.uneven);
  data.epochs = fields.Bool("epochs", data.epochs);
  data.file = fields.String("file", data.file);
  data.labels = fields.String("labels", data.labels);
  fields.Done();
  return data;
}

nlohmann::json ModelToJson(const Model& model) {
  switch (model.kind) {
    case ModelKind::kMlp:
      return {{"kind", "mlp"},
              {"sizes", model.sizes},
              {"activation", NameOf(model.activation)},
              {"loss", NameOf(model.loss)}};
    case ModelKind::kGpt:
      return {{"kind", "gpt"},
              {"layers", model.layers},
              {"width", model.width},
              {"heads", model.heads},
              {"mlp_width", model.mlp_width},
              {"vocabulary", model.vocabulary},
              {"sequence", model.sequence},
              {"tied", model.tied},
              {"dropout", NumberToJson(model.dropout)}};
    case ModelKind::kOwn:
      return {{"kind", "own"}, {"name", model.own_name}};
  }
  throw std::logic_error("no such kind of model");
}

void RequireNumber(bool holds, const std::string& where, double value, const std::string& expected) {
  if (holds) return;  // callers compare so that NaN does not hold
  throw BadInput(where, "is " + NumberToJson(value).dump(), "expected " + expected);
}

void ValidateModel(const Model& model, const std::string& where) {
  if (model.kind == ModelKind::kOwn) {
    if (model.own_name.empty()) throw BadInput(where + ".name", "is empty", "expected the trainer's name of its model");
    return;
  }
  if (model.kind == ModelKind::kMlp) {
    if (model.sizes.size() < 2 || model.sizes.size() > kMaxLayers) {
      throw BadInput(where + ".sizes", "has " + std::to_string(model.sizes.size()) + " entries",
                     "expected features from input to output, 2 entries or more");
    }
    for (const std::int64_t size : model.sizes) {
      if (size < 1 || size > kMaxExtent) {
        throw BadInput(where + ".sizes", "holds " + std::to_string(size),
                       "expected 1 to " + std::to_string(kMaxExtent));
      }
    }
    return;
  }
  if (model.layers < 1 || model.heads < 1 || model.width < 1 || model.mlp_width < 1 || model.vocabulary < 1 ||
      model.sequence < 1) {
    throw BadInput(where, "a gpt with an extent below 1", "expected layers, width, heads, ... of 1 or more");
  }
  if (model.width % model.heads != 0) {
    throw BadInput(where + ".width", "is " + std::to_string(model.width),
                   "expected a multiple of heads = " + std::to_string(model.heads));
  }
  RequireNumber(model.dropout >= 0 && model.dropout < 1, where + ".dropout", model.dropout, "0 <= dropout < 1");
}

void ValidateOptimizer(const Optimizer& optimizer, const std::string& where) {
  const auto require = [&](bool holds, const char* key, double value, const std::string& expected) {
    RequireNumber(holds, where + "." + key, value, expected);
  };
  const auto is_rate = [](double value) { return value >= 0 && std::isfinite(value); };
  require(is_rate(optimizer.learning_rate), "learning_rate", optimizer.learning_rate, "0 or more");
  require(optimizer.momentum >= 0 && optimizer.momentum < 1, "momentum", optimizer.momentum, "0 <= momentum < 1");
  require(optimizer.beta1 >= 0 && optimizer.beta1 < 1, "beta1", optimizer.beta1, "0 <= beta1 < 1");
  require(optimizer.beta2 >= 0 && optimizer.beta2 < 1, "beta2", optimizer.beta2, "0 <= beta2 < 1");
  require(is_rate(optimizer.epsilon) && optimizer.epsilon > 0, "epsilon", optimizer.epsilon, "more than 0");
  require(is_rate(optimizer.weight_decay), "weight_decay", optimizer.weight_decay, "0 or more");
  require(is_rate(optimizer.clip_norm), "clip_norm", optimizer.clip_norm, "0 (none) or more");
  require(is_rate(optimizer.minimum_learning_rate), "minimum_learning_rate", optimizer.minimum_learning_rate,
          "0 or more");
  if (optimizer.warmup_steps < 0 || optimizer.cosine_steps < 0 ||
      (optimizer.cosine_steps > 0 && optimizer.cosine_steps <= optimizer.warmup_steps)) {
    throw BadInput(where + ".cosine_steps", "is " + std::to_string(optimizer.cosine_steps),
                   "expected 0, or more than warmup_steps = " + std::to_string(optimizer.warmup_steps));
  }
}

}  // namespace

std::int64_t Model::PipelineUnits() const {
  if (kind == ModelKind::kGpt) return layers;
  return kind == ModelKind::kMlp ? std::max<std::int64_t>(0, std::ssize(sizes) - 1) : 0;
}

std::string_view NameOf(ModelKind kind) { return NameIn(kModels, kind); }
std::string_view NameOf(OptimizerKind kind) { return NameIn(kOptimizers, kind); }
std::string_view NameOf(Precision precision) { return NameIn(kPrecisions, precision); }
std::string_view NameOf(Activation activation) { return NameIn(kActivations, activation); }
std::string_view NameOf(LossKind kind) { return NameIn(kLosses, kind); }
std::string_view NameOf(DataKind kind) { return NameIn(kData, kind); }

Workload WorkloadFromJson(const nlohmann::json& value, const std::string& where) {
  static const nlohmann::json kEmpty = nlohmann::json::object();
  Fields fields(value, where);
  const auto table = [&](const std::string& key) {
    return fields.Has(key) ? fields.Object(key) : Fields(kEmpty, fields.Path(key));
  };
  Workload workload;
  workload.model = ModelFrom(table("model"));
  workload.optimizer = OptimizerFrom(table("optimizer"));
  workload.data = DataFrom(table("data"));
  Fields training = table("training");
  workload.precision = ChoiceIn(kPrecisions, training, "precision", Precision::kF32);
  workload.global_batch = training.Int("global_batch", 1, kMaxExtent, 8);
  workload.steps = training.Int("steps", 1, kMaxSteps, 3);
  workload.seed = static_cast<std::uint64_t>(training.Int("seed", 0, std::numeric_limits<std::int64_t>::max(), 1));
  training.Done();
  fields.Done();
  Validate(workload, where);
  return workload;
}

nlohmann::json WorkloadToJson(const Workload& workload) {
  const Optimizer& optimizer = workload.optimizer;
  const Data& data = workload.data;
  return {{"model", ModelToJson(workload.model)},
          {"optimizer",
           {{"kind", NameOf(optimizer.kind)},
            {"learning_rate", NumberToJson(optimizer.learning_rate)},
            {"momentum", NumberToJson(optimizer.momentum)},
            {"beta1", NumberToJson(optimizer.beta1)},
            {"beta2", NumberToJson(optimizer.beta2)},
            {"epsilon", NumberToJson(optimizer.epsilon)},
            {"weight_decay", NumberToJson(optimizer.weight_decay)},
            {"clip_norm", NumberToJson(optimizer.clip_norm)},
            {"warmup_steps", optimizer.warmup_steps},
            {"cosine_steps", optimizer.cosine_steps},
            {"minimum_learning_rate", NumberToJson(optimizer.minimum_learning_rate)}}},
          {"data",
           {{"kind", NameOf(data.kind)},
            {"samples", data.samples},
            {"uneven", data.uneven},
            {"epochs", data.epochs},
            {"file", data.file},
            {"labels", data.labels}}},
          {"training",
           {{"precision", NameOf(workload.precision)},
            {"global_batch", workload.global_batch},
            {"steps", workload.steps},
            {"seed", workload.seed}}}};
}

void ResolveFiles(Data* data, const std::filesystem::path& folder) {
  for (std::string* name : {&data->file, &data->labels}) {
    if (!name->empty() && std::filesystem::path(*name).is_relative()) *name = folder / *name;
  }
}

Workload ReadWorkloadToml(const std::filesystem::path& path) {
  Workload workload = WorkloadFromJson(ReadToml(path), path.string());
  ResolveFiles(&workload.data, path.parent_path());
  return workload;
}

void Validate(const Workload& workload, const std::string& where) {
  ValidateModel(workload.model, FieldPath(where, "model"));
  ValidateOptimizer(workload.optimizer, FieldPath(where, "optimizer"));
  if (workload.global_batch < 1 || workload.global_batch > kMaxExtent) {
    throw BadInput(FieldPath(where, "training.global_batch"), "is " + std::to_string(workload.global_batch),
                   "expected 1 to " + std::to_string(kMaxExtent));
  }
  if (workload.steps < 1 || workload.steps > kMaxSteps) {
    throw BadInput(FieldPath(where, "training.steps"), "is " + std::to_string(workload.steps),
                   "expected 1 to " + std::to_string(kMaxSteps));
  }
}

double LearningRate(const Optimizer& optimizer, std::int64_t step) {
  if (step <= optimizer.warmup_steps) {
    return optimizer.learning_rate * static_cast<double>(step) / static_cast<double>(optimizer.warmup_steps);
  }
  if (optimizer.cosine_steps <= 0) return optimizer.learning_rate;
  const double done = std::min(1.0, static_cast<double>(step - optimizer.warmup_steps) /
                                        static_cast<double>(optimizer.cosine_steps - optimizer.warmup_steps));
  return optimizer.minimum_learning_rate +
         (optimizer.learning_rate - optimizer.minimum_learning_rate) / 2 * (1 + std::cos(std::numbers::pi * done));
}

double ModelFlops(const Model& model, double tokens) {
  double weights = 0;  // of matrix products
  double attention = 0;
  if (model.kind == ModelKind::kMlp) {
    for (std::size_t i = 0; i + 1 < model.sizes.size(); ++i) {
      weights += static_cast<double>(model.sizes[i]) * static_cast<double>(model.sizes[i + 1]);
    }
  } else if (model.kind == ModelKind::kGpt) {
    const auto width = static_cast<double>(model.width);
    const auto layers = static_cast<double>(model.layers);
    const double block = 4 * width * width + 2 * width * static_cast<double>(model.mlp_width);
    weights = layers * block + static_cast<double>(model.vocabulary) * width;
    attention = 12 * layers * width * static_cast<double>(model.sequence);
  }
  return (6 * weights + attention) * tokens;
}

}  // namespace lockstep::protocol
