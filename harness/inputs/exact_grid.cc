// The exact grid: a workload whose first step is exact in fp32 in every order of summation (numerics.md, B2).
//
// Weights are sparse and ternary, everything else small integers, denominators powers of two. So every number of step 1
// is an integer times a power of two, and a sum is exact in any order when the sum of its terms' magnitudes fits 24
// bits. Operands of products are held to 256, which bf16 holds exactly. Whether a drawn net keeps these limits is
// computed in integers; nets are drawn from dense to sparse until one does.
#include <algorithm>
#include <bit>
#include <cmath>
#include <optional>

#include "harness/inputs/generator.h"
#include "harness/inputs/order.h"
#include "harness/inputs/parts.h"
#include "harness/protocol/bad_input.h"

namespace lockstep::inputs {
namespace {

using Integers = std::vector<std::int64_t>;

constexpr std::int64_t kOperand = 1 << 8;  // bf16 holds all integers up to 2^8
constexpr std::int64_t kSum = 1 << 24;     // fp32 holds all integers up to 2^24

std::size_t At(std::int64_t i) { return static_cast<std::size_t>(i); }

struct Net {
  Integers sizes;
  std::vector<Integers> weights, biases;  // [layer], weights (out, in) flat
};

struct Sample {
  Integers features, target;
  bool counts = true;
};

// Sums of terms' magnitudes and values: the value is exact in any order when the magnitudes stay within the limit.
struct Sum {
  std::int64_t value = 0, magnitude = 0;
  void Add(std::int64_t term) {
    value += term;
    magnitude += std::abs(term);
  }
};

// How a net is drawn. Few negative weights keep deep nets alive: behind ReLU a negative one stops most of what comes.
struct Density {
  std::int64_t row_entries;      // non-zeros in each row of a weight, about
  bool cover;                    // at least one in each column
  std::int64_t negative_one_in;  // share of negative weights
};

// From the most telling to the most bounded.
constexpr Density kDensities[] = {{3, true, 4},  {2, true, 4},  {2, true, 16}, {1, true, 4},
                                  {1, true, 16}, {2, false, 4}, {1, false, 4}, {1, false, 16}};

// Non-zeros are spread evenly over rows and columns.
Net Draw(const Integers& sizes, const Density& density, Generator& random) {
  Net net{sizes, {}, {}};
  for (std::size_t l = 0; l + 1 < sizes.size(); ++l) {
    const std::int64_t in = sizes[l], out = sizes[l + 1];
    Integers weight(At(in * out), 0), bias(At(out));
    const std::int64_t entries = std::max(out * density.row_entries, density.cover ? in : 0);
    Integers columns;
    for (std::int64_t j = 0; j < entries; ++j) {
      if (j % in == 0) columns = random.Permutation(in);
      const bool negative = random.Between(1, density.negative_one_in) == 1;
      weight[At(j % out * in + columns[At(j % in)])] = negative ? -1 : 1;
    }
    for (std::int64_t& b : bias) b = random.Between(-1, 2);
    net.weights.push_back(std::move(weight));
    net.biases.push_back(std::move(bias));
  }
  return net;
}

// Step 1 in integers: sums of gradients over the batch, not yet divided by N; nullopt where a limit is broken.
class ExactStep {
 public:
  explicit ExactStep(const Net& net) : net_(net) {
    for (const Integers& weight : net.weights) weight_gradients_.emplace_back(weight.size());
    for (const Integers& bias : net.biases) bias_gradients_.emplace_back(bias.size());
  }

  // False where a sum or operand of this sample is out of bounds.
  bool Add(const Sample& sample) {
    std::vector<Integers> h;  // [layer] inputs of layers, after ReLU
    if (!Forward(sample, h)) return false;
    if (!sample.counts) return true;
    Integers dz;
    for (std::size_t j = 0; j < sample.target.size(); ++j) {
      dz.push_back(h.back()[j] - sample.target[j]);
      if (std::abs(dz.back()) > kOperand) return false;
      loss_.Add(dz.back() * dz.back());
    }
    return Backward(h, std::move(dz));
  }

  // Whether the sums over the batch, the update p - rate g / n and the loss are exact, and enough gradients are not 0.
  bool Holds(double rate, std::int64_t n) const {
    const double unit = std::min(1.0, rate / static_cast<double>(n));  // everything is a multiple of it
    const auto fits = [&](const Sum& gradient, std::int64_t parameter) {
      const double updated = static_cast<double>(std::abs(parameter)) +
                             rate / static_cast<double>(n) * static_cast<double>(gradient.magnitude);
      return gradient.magnitude <= kSum && updated / unit <= kSum;
    };
    for (std::size_t l = 0; l < net_.weights.size(); ++l) {
      std::size_t alive = 0;
      for (std::size_t i = 0; i < net_.weights[l].size(); ++i) {
        if (!fits(weight_gradients_[l][i], net_.weights[l][i])) return false;
      }
      for (std::size_t i = 0; i < net_.biases[l].size(); ++i) {
        if (!fits(bias_gradients_[l][i], net_.biases[l][i])) return false;
        alive += bias_gradients_[l][i].value != 0 ? 1 : 0;
      }
      if (alive * 4 < net_.biases[l].size()) return false;  // too little to compare
    }
    return loss_.magnitude <= kSum && loss_.value > 0;
  }

 private:
  bool Forward(const Sample& sample, std::vector<Integers>& h) const {
    h = {sample.features};
    for (std::size_t l = 0; l < net_.weights.size(); ++l) {
      Integers next;
      for (std::size_t o = 0; o < net_.biases[l].size(); ++o) {
        Sum z;
        z.Add(net_.biases[l][o]);
        for (std::size_t i = 0; i < h[l].size(); ++i) z.Add(net_.weights[l][o * h[l].size() + i] * h[l][i]);
        if (z.magnitude > kOperand) return false;
        const bool last = l + 1 == net_.weights.size();
        next.push_back(last ? z.value : std::max<std::int64_t>(z.value, 0));
      }
      h.push_back(std::move(next));
    }
    return true;
  }

  bool Backward(const std::vector<Integers>& h, Integers dz) {
    for (std::size_t l = net_.weights.size(); l-- > 0;) {
      const std::size_t in = h[l].size();
      Integers below(in);
      for (std::size_t i = 0; i < in; ++i) {
        Sum dh;
        for (std::size_t o = 0; o < dz.size(); ++o) {
          weight_gradients_[l][o * in + i].Add(dz[o] * h[l][i]);
          dh.Add(dz[o] * net_.weights[l][o * in + i]);
        }
        if (l > 0 && dh.magnitude > kOperand) return false;
        below[i] = h[l][i] > 0 ? dh.value : 0;
      }
      for (std::size_t o = 0; o < dz.size(); ++o) bias_gradients_[l][o].Add(dz[o]);
      dz = std::move(below);
    }
    return true;
  }

  const Net& net_;
  std::vector<std::vector<Sum>> weight_gradients_, bias_gradients_;
  Sum loss_;  // of (y - t)^2
};

// Samples that do not count, of a batch: as many as leave a power of two.
std::int64_t Invalid(std::int64_t batch, bool uneven) {
  if (!uneven || batch < 2) return 0;
  const std::int64_t largest = static_cast<std::int64_t>(std::bit_floor(static_cast<std::uint64_t>(batch)));
  return largest == batch ? batch / 2 : batch - largest;
}

void Refuse(bool wrong, const char* field, const char* problem, const char* expected) {
  if (wrong) throw protocol::BadInput(field, problem, expected);
}

void CheckWorkload(const protocol::Workload& workload) {
  const protocol::Model& model = workload.model;
  const protocol::Optimizer& o = workload.optimizer;
  Refuse(model.kind != protocol::ModelKind::kMlp, "model.kind", "the exact grid can't be had with it", "expected mlp");
  Refuse(model.activation != protocol::Activation::kRelu, "model.activation", "not exact on the exact grid",
         "expected relu");
  Refuse(model.loss != protocol::LossKind::kSquaredError, "model.loss", "not exact on the exact grid",
         "expected squared_error");
  Refuse(o.kind != protocol::OptimizerKind::kSgd, "optimizer.kind", "not exact on the exact grid", "expected sgd");
  Refuse(o.clip_norm != 0, "optimizer.clip_norm", "clipping is not exact on the exact grid", "expected 0");
  Refuse(o.weight_decay != 0, "optimizer.weight_decay", "decay is not exact on the exact grid", "expected 0");
  int exponent = 0;
  Refuse(std::frexp(protocol::LearningRate(o, 1), &exponent) != 0.5, "optimizer.learning_rate",
         "the exact grid needs a power of two in step 1", "such as 0.125");
  Refuse(!workload.data.uneven && !std::has_single_bit(static_cast<std::uint64_t>(workload.global_batch)),
         "training.global_batch", "the exact grid needs a power of two", "or data.uneven = true");
}

std::vector<Sample> DrawSamples(const protocol::Workload& workload, const protocol::Tensor& order,
                                std::int64_t samples) {
  const auto places = FirstPlaces(order, samples);
  Generator random(workload.seed, "exact_grid samples");
  std::vector<Sample> drawn(At(samples));
  for (std::int64_t n = 0; n < samples; ++n) {
    Sample& sample = drawn[At(n)];
    for (std::int64_t i = 0; i < workload.model.sizes.front(); ++i) sample.features.push_back(random.Between(-2, 2));
    for (std::int64_t i = 0; i < workload.model.sizes.back(); ++i) sample.target.push_back(random.Between(-3, 3));
    const auto& place = places[At(n)];
    if (place) sample.counts = SampleCounts(*place, Invalid(place->batch, workload.data.uneven));
  }
  return drawn;
}

// The first net, from dense to sparse, whose step 1 is exact.
Net FindNet(const protocol::Workload& workload, const std::vector<Sample>& samples,
            const std::vector<std::int64_t>& batch) {
  constexpr int kAttempts = 8;
  const std::int64_t n =
      std::count_if(batch.begin(), batch.end(), [&](std::int64_t id) { return samples[At(id)].counts; });
  Refuse(!std::has_single_bit(static_cast<std::uint64_t>(n)), "data.samples",
         "the exact grid needs a power of two in the first batch", "or data.uneven = true");
  Generator random(workload.seed, "exact_grid net");
  for (const Density& density : kDensities) {
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
      Net net = Draw(workload.model.sizes, density, random);
      ExactStep step(net);
      const bool bounded =
          std::all_of(batch.begin(), batch.end(), [&](std::int64_t id) { return step.Add(samples[At(id)]); });
      if (bounded && step.Holds(protocol::LearningRate(workload.optimizer, 1), n)) return net;
    }
  }
  throw protocol::BadInput("model.sizes", "no net of these sizes is exact in fp32 on this batch",
                           "fewer layers, a smaller batch or a larger learning rate");
}

protocol::Tensor ToTensor(protocol::Shape shape, const Integers& values) {
  const std::vector<double> doubles(values.begin(), values.end());
  return protocol::Tensor::FromDoubles(protocol::DType::kF64, std::move(shape), doubles);
}

}  // namespace

protocol::Inputs ExactGrid(const protocol::Workload& workload) {
  CheckWorkload(workload);
  const std::int64_t samples =
      workload.data.samples > 0 ? workload.data.samples : workload.global_batch * workload.steps;
  const protocol::Model& model = workload.model;
  protocol::Inputs inputs;
  protocol::Tensor order = OrderOf(workload, samples, "data.samples");
  const std::vector<Sample> drawn = DrawSamples(workload, order, samples);
  const Net net = FindNet(workload, drawn, protocol::BatchSamples(order, 1));

  for (std::int64_t l = 0; l + 1 < static_cast<std::int64_t>(model.sizes.size()); ++l) {
    const std::string name = "layers." + std::to_string(l);
    inputs.parameters[name + ".weight"] = ToTensor({model.sizes[At(l + 1)], model.sizes[At(l)]}, net.weights[At(l)]);
    inputs.parameters[name + ".bias"] = ToTensor({model.sizes[At(l + 1)]}, net.biases[At(l)]);
  }
  Integers features, targets;
  protocol::Tensor valid = protocol::Tensor::Zeros(protocol::DType::kU8, {samples});
  for (std::int64_t n = 0; n < samples; ++n) {
    const Sample& sample = drawn[At(n)];
    features.insert(features.end(), sample.features.begin(), sample.features.end());
    targets.insert(targets.end(), sample.target.begin(), sample.target.end());
    valid.As<std::uint8_t>()[At(n)] = sample.counts ? 1 : 0;
  }
  inputs.data["inputs"] = ToTensor({samples, model.sizes.front()}, features);
  inputs.data["targets"] = ToTensor({samples, model.sizes.back()}, targets);
  if (workload.data.uneven) inputs.data["valid"] = std::move(valid);
  inputs.data["order"] = std::move(order);
  return inputs;
}

}  // namespace lockstep::inputs
