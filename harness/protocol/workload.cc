#include "harness/protocol/workload.h"

#include <array>
#include <cmath>
#include <numbers>

#include "harness/protocol/bad_input.h"
#include "harness/protocol/fields.h"
#include "harness/protocol/files.h"

namespace lockstep::protocol {
namespace {

constexpr std::int64_t kMaxSize = std::int64_t{1} << 40;

const std::vector<std::string> kModels{"mlp", "gpt", "own"};
const std::vector<std::string> kOptimizers{"sgd", "momentum", "adamw"};
const std::vector<std::string> kPrecisions{"fp64", "fp32", "bf16"};
const std::vector<std::string> kActivations{"relu", "gelu"};
const std::vector<std::string> kLosses{"squared_error", "cross_entropy"};
const std::vector<std::string> kDataKinds{"seeded", "exact_grid", "file"};

// Enumerators stand in the order of their names.
template <typename E>
E Enum(Fields& fields, const std::string& key, const std::vector<std::string>& names, E otherwise) {
  const std::string name = fields.Choice(key, names, names[static_cast<std::size_t>(otherwise)]);
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i] == name) return static_cast<E>(i);
  }
  return otherwise;
}

Model ReadModel(Fields fields) {
  Model model;
  model.kind = Enum(fields, "kind", kModels, ModelKind::kMlp);
  if (model.kind == ModelKind::kMlp) {
    model.sizes = fields.Ints("sizes");
    model.activation = Enum(fields, "activation", kActivations, Activation::kRelu);
    model.loss = Enum(fields, "loss", kLosses, LossKind::kSquaredError);
  } else if (model.kind == ModelKind::kGpt) {
    model.layers = fields.Int("layers", 1, 1 << 20);
    model.width = fields.Int("width", 1, kMaxSize);
    model.heads = fields.Int("heads", 1, kMaxSize, 1);
    model.mlp_width = fields.Int("mlp_width", 1, kMaxSize, 4 * model.width);
    model.vocabulary = fields.Int("vocabulary", 2, INT32_MAX, 256);
    model.sequence = fields.Int("sequence", 1, kMaxSize, 128);
    model.tied = fields.Bool("tied", true);
    model.dropout = fields.Number("dropout", 0.0);
    model.activation = Activation::kGelu;
    model.loss = LossKind::kCrossEntropy;
  } else {
    model.own_name = fields.String("name");
  }
  fields.Done();
  return model;
}

Optimizer ReadOptimizer(Fields fields) {
  Optimizer optimizer;
  optimizer.kind = Enum(fields, "kind", kOptimizers, OptimizerKind::kSgd);
  optimizer.learning_rate = fields.Number("learning_rate", optimizer.learning_rate);
  optimizer.momentum = fields.Number("momentum", optimizer.momentum);
  optimizer.beta1 = fields.Number("beta1", optimizer.beta1);
  optimizer.beta2 = fields.Number("beta2", optimizer.beta2);
  optimizer.epsilon = fields.Number("epsilon", optimizer.epsilon);
  optimizer.weight_decay = fields.Number("weight_decay", 0.0);
  optimizer.clip_norm = fields.Number("clip_norm", 0.0);
  optimizer.warmup_steps = fields.Int("warmup_steps", 0, kMaxSize, 0);
  optimizer.cosine_steps = fields.Int("cosine_steps", 0, kMaxSize, 0);
  optimizer.minimum_learning_rate = fields.Number("minimum_learning_rate", 0.0);
  fields.Done();
  return optimizer;
}

Data ReadData(Fields fields) {
  Data data;
  data.kind = Enum(fields, "kind", kDataKinds, DataKind::kSeeded);
  data.samples = fields.Int("samples", 0, kMaxSize, 0);
  data.uneven = fields.Bool("uneven", false);
  data.epochs = fields.Bool("epochs", false);
  data.file = fields.String("file", "");
  data.labels = fields.String("labels", "");
  fields.Done();
  return data;
}

void ReadTraining(Fields fields, Workload* workload) {
  workload->precision = Enum(fields, "precision", kPrecisions, Precision::kF32);
  workload->global_batch = fields.Int("global_batch", 1, kMaxSize, 8);
  workload->steps = fields.Int("steps", 1, kMaxSize, 3);
  workload->seed = static_cast<std::uint64_t>(fields.Int("seed", 0, INT64_MAX, 1));
  fields.Done();
}

void ValidateModel(const Model& model, const std::string& where) {
  if (model.kind == ModelKind::kMlp) {
    if (model.sizes.size() < 2)
      throw BadInput(where + ".sizes", "has " + std::to_string(model.sizes.size()) + " entries", "expected at least 2");
    for (const std::int64_t size : model.sizes) {
      if (size < 1 || size > kMaxSize)
        throw BadInput(where + ".sizes", "holds " + std::to_string(size), "expected sizes of at least 1");
    }
  }
  if (model.kind == ModelKind::kGpt) {
    if (model.width % model.heads != 0) {
      throw BadInput(where + ".heads",
                     std::to_string(model.heads) + " heads don't divide width " + std::to_string(model.width),
                     "expected a divisor of the width");
    }
    if (!(model.dropout >= 0 && model.dropout < 1))
      throw BadInput(where + ".dropout", "is out of range", "expected a probability in [0, 1)");
  }
}

void ValidateOptimizer(const Optimizer& optimizer, const std::string& where) {
  struct Bound {
    const char* key;
    double value, min, max;
  };
  const std::array<Bound, 8> bounds{{{"learning_rate", optimizer.learning_rate, 0, 1e9},
                                     {"momentum", optimizer.momentum, 0, 1},
                                     {"beta1", optimizer.beta1, 0, 1},
                                     {"beta2", optimizer.beta2, 0, 1},
                                     {"epsilon", optimizer.epsilon, 0, 1e9},
                                     {"weight_decay", optimizer.weight_decay, 0, 1e9},
                                     {"clip_norm", optimizer.clip_norm, 0, 1e300},
                                     {"minimum_learning_rate", optimizer.minimum_learning_rate, 0, 1e9}}};
  for (const Bound& bound : bounds) {
    if (!(bound.value >= bound.min && bound.value <= bound.max)) {
      throw BadInput(
          where + "." + bound.key, "is " + NumberToJson(bound.value).dump(),
          "expected a number from " + NumberToJson(bound.min).dump() + " to " + NumberToJson(bound.max).dump());
    }
  }
  if (optimizer.cosine_steps > 0 && optimizer.cosine_steps <= optimizer.warmup_steps) {
    throw BadInput(where + ".cosine_steps", "is " + std::to_string(optimizer.cosine_steps),
                   "expected more than warmup_steps, or 0 for a constant rate");
  }
}

}  // namespace

std::int64_t Model::PipelineUnits() const {
  return kind == ModelKind::kMlp ? static_cast<std::int64_t>(sizes.size()) - 1 : layers;
}

std::string_view NameOf(ModelKind kind) { return kModels[static_cast<std::size_t>(kind)]; }
std::string_view NameOf(OptimizerKind kind) { return kOptimizers[static_cast<std::size_t>(kind)]; }
std::string_view NameOf(Precision precision) { return kPrecisions[static_cast<std::size_t>(precision)]; }
std::string_view NameOf(Activation activation) { return kActivations[static_cast<std::size_t>(activation)]; }
std::string_view NameOf(LossKind loss) { return kLosses[static_cast<std::size_t>(loss)]; }
std::string_view NameOf(DataKind kind) { return kDataKinds[static_cast<std::size_t>(kind)]; }

Workload WorkloadFromJson(const nlohmann::json& value, const std::string& where) {
  Fields fields(value, where);
  Workload workload;
  workload.model = ReadModel(fields.Object("model"));
  if (fields.Has("optimizer")) workload.optimizer = ReadOptimizer(fields.Object("optimizer"));
  if (fields.Has("data")) workload.data = ReadData(fields.Object("data"));
  const nlohmann::json none = nlohmann::json::object();
  ReadTraining(fields.Has("training") ? fields.Object("training") : Fields(none, where + ".training"), &workload);
  fields.Done();
  Validate(workload, where);
  return workload;
}

nlohmann::json WorkloadToJson(const Workload& workload) {
  const Model& m = workload.model;
  nlohmann::json model{{"kind", NameOf(m.kind)}};
  if (m.kind == ModelKind::kMlp) {
    model.update({{"sizes", m.sizes}, {"activation", NameOf(m.activation)}, {"loss", NameOf(m.loss)}});
  } else if (m.kind == ModelKind::kGpt) {
    model.update({{"layers", m.layers},
                  {"width", m.width},
                  {"heads", m.heads},
                  {"mlp_width", m.mlp_width},
                  {"vocabulary", m.vocabulary},
                  {"sequence", m.sequence},
                  {"tied", m.tied},
                  {"dropout", m.dropout}});
  } else {
    model["name"] = m.own_name;
  }
  const Optimizer& o = workload.optimizer;
  const Data& d = workload.data;
  return {{"model", model},
          {"optimizer",
           {{"kind", NameOf(o.kind)},
            {"learning_rate", o.learning_rate},
            {"momentum", o.momentum},
            {"beta1", o.beta1},
            {"beta2", o.beta2},
            {"epsilon", o.epsilon},
            {"weight_decay", o.weight_decay},
            {"clip_norm", o.clip_norm},
            {"warmup_steps", o.warmup_steps},
            {"cosine_steps", o.cosine_steps},
            {"minimum_learning_rate", o.minimum_learning_rate}}},
          {"data",
           {{"kind", NameOf(d.kind)},
            {"samples", d.samples},
            {"uneven", d.uneven},
            {"epochs", d.epochs},
            {"file", d.file},
            {"labels", d.labels}}},
          {"training",
           {{"precision", NameOf(workload.precision)},
            {"global_batch", workload.global_batch},
            {"steps", workload.steps},
            {"seed", workload.seed}}}};
}

Workload ReadWorkloadToml(const std::filesystem::path& path) {
  return WorkloadFromJson(ReadToml(path), path.string() + ": workload");
}

void Validate(const Workload& workload, const std::string& where) {
  ValidateModel(workload.model, where + ".model");
  ValidateOptimizer(workload.optimizer, where + ".optimizer");
}

double LearningRate(const Optimizer& optimizer, std::int64_t step) {
  const double peak = optimizer.learning_rate;
  const auto warmup = static_cast<double>(optimizer.warmup_steps);
  if (step <= optimizer.warmup_steps) return peak * static_cast<double>(step) / warmup;
  if (optimizer.cosine_steps == 0) return peak;
  const double t =
      std::min(1.0, (static_cast<double>(step) - warmup) / (static_cast<double>(optimizer.cosine_steps) - warmup));
  const double least = optimizer.minimum_learning_rate;
  return least + (peak - least) / 2 * (1 + std::cos(std::numbers::pi * t));
}

double ModelFlops(const Model& model, double tokens) {
  double weights = 0;
  if (model.kind == ModelKind::kMlp) {
    for (std::size_t i = 0; i + 1 < model.sizes.size(); ++i) {
      weights += static_cast<double>(model.sizes[i]) * static_cast<double>(model.sizes[i + 1]);
    }
    return 6 * weights * tokens;
  }
  const auto layers = static_cast<double>(model.layers), width = static_cast<double>(model.width);
  weights = layers * (4 * width * width + 2 * width * static_cast<double>(model.mlp_width)) +
            static_cast<double>(model.vocabulary) * width;
  return (6 * weights + 12 * layers * width * static_cast<double>(model.sequence)) * tokens;
}

}  // namespace lockstep::protocol
