// What is trained: model, data, optimizer, precision, global batch, steps, seed. PROTOCOL.md gives the formulas.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace lockstep::protocol {

enum class ModelKind { kMlp, kGpt, kOwn };
enum class Activation { kRelu, kGelu };  // gelu: the tanh approximation
enum class LossKind { kSquaredError, kCrossEntropy };
enum class OptimizerKind { kSgd, kMomentum, kAdamW };
enum class Precision { kF64, kF32, kBF16 };

struct Model {
  ModelKind kind = ModelKind::kMlp;
  // mlp
  std::vector<std::int64_t> sizes = {};  // (L+1) features from input to output
  Activation activation = Activation::kRelu;
  LossKind loss = LossKind::kSquaredError;
  // gpt
  std::int64_t layers = 0;      // blocks
  std::int64_t width = 0;       // C = heads * head_width
  std::int64_t heads = 0;       // H
  std::int64_t mlp_width = 0;   // F, 4 C unless said
  std::int64_t vocabulary = 0;  // V
  std::int64_t sequence = 0;    // T, positions
  bool tied = true;             // head.weight is wte.weight
  double dropout = 0;           // probability in [0, 1)
  // own
  std::string own_name = {};  // the trainer's own name for its model

  std::int64_t head_width() const { return width / heads; }
  // Units that a pipeline partition deals out: blocks of a gpt, layers of an mlp, 0 (unknown) for own.
  std::int64_t PipelineUnits() const;
  bool operator==(const Model&) const = default;
};

struct Optimizer {
  OptimizerKind kind = OptimizerKind::kSgd;
  double learning_rate = 0.1;  // peak, where a schedule scales it
  double momentum = 0.9;
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
  double weight_decay = 0;  // on decayed parameters only (Parameter::decayed)
  double clip_norm = 0;     // global L2 norm; 0: no clipping
  // Learning rate of step s = 1, 2, ...: see LearningRate().
  std::int64_t warmup_steps = 0;     // 0: none
  std::int64_t cosine_steps = 0;     // 0: constant after the warm-up
  double minimum_learning_rate = 0;  // where the cosine ends
  bool operator==(const Optimizer&) const = default;
};

// Where the harness takes the numbers from. A trainer never sees this: it gets the data set itself.
enum class DataKind { kSeeded, kExactGrid, kFile };
struct Data {
  DataKind kind = DataKind::kSeeded;
  std::int64_t samples = 0;  // size of the data set; 0: global_batch * steps
  bool uneven = false;       // valid tokens differ from sample to sample
  bool epochs = false;       // steps run over the data set in epochs, tail batch kept
  std::string file;          // kFile: text, token file, or IDX images
  std::string labels;        // kFile with IDX: labels
  bool operator==(const Data&) const = default;
};

struct Workload {
  Model model;
  Optimizer optimizer;
  Data data;
  Precision precision = Precision::kF32;
  std::int64_t global_batch = 1;  // samples a step
  std::int64_t steps = 1;
  std::uint64_t seed = 1;
  bool operator==(const Workload&) const = default;
};

std::string_view NameOf(ModelKind);      // "mlp", "gpt", "own"
std::string_view NameOf(OptimizerKind);  // "sgd", "momentum", "adamw"
std::string_view NameOf(Precision);      // "fp64", "fp32", "bf16"
std::string_view NameOf(Activation);     // "relu", "gelu"
std::string_view NameOf(LossKind);       // "squared_error", "cross_entropy"
std::string_view NameOf(DataKind);       // "seeded", "exact_grid", "file"

// Tables [model], [optimizer], [data], [training], as TOML and JSON spell them. `where` names the file.
// Throws BadInput: unknown key (nearest right one named), wrong type, out of range, widths that don't fit.
Workload WorkloadFromJson(const nlohmann::json& value, const std::string& where);
nlohmann::json WorkloadToJson(const Workload& workload);
// A data file stands beside the workload that names it: relative names are of the TOML file's folder afterwards.
void ResolveFiles(Data* data, const std::filesystem::path& folder);
Workload ReadWorkloadToml(const std::filesystem::path& path);
void Validate(const Workload& workload, const std::string& where);  // throws BadInput

// Learning rate of step s = 1, 2, ..., in fp64:
//   s <= warmup:  learning_rate * s / warmup
//   cosine:       minimum + (learning_rate - minimum) / 2 * (1 + cos(pi * min(1, (s - warmup) / (cosine - warmup))))
//   otherwise:    learning_rate
double LearningRate(const Optimizer& optimizer, std::int64_t step);

// Model FLOPs of one training step over `tokens` tokens (gpt) or samples (mlp), forward and backward, counted as
// PROTOCOL.md says (6 per weight of a matrix product and token, plus 12 L C T for attention's products).
double ModelFlops(const Model& model, double tokens);

}  // namespace lockstep::protocol
