// Random data from the seed.
#include <algorithm>

#include "harness/inputs/generator.h"
#include "harness/inputs/order.h"
#include "harness/inputs/parts.h"

namespace lockstep::inputs {
namespace {

using protocol::Tensor;

// Takes away all but `valid` targets: two thirds of what goes at the end, as padding does, one third before it.
void Mask(std::int64_t valid, Generator& random, std::span<std::int32_t> targets) {
  const std::int64_t masked = static_cast<std::int64_t>(targets.size()) - valid;
  const std::int64_t middle = masked / 3, body = static_cast<std::int64_t>(targets.size()) - (masked - middle);
  std::fill(targets.begin() + body, targets.end(), -1);
  const std::vector<std::int64_t> positions = random.Permutation(body);
  for (std::int64_t i = 0; i < middle; ++i) {
    targets[static_cast<std::size_t>(positions[static_cast<std::size_t>(i)])] = -1;
  }
}

Tensors TokenData(const protocol::Workload& workload, std::int64_t samples,
                  const std::vector<std::optional<Place>>& places) {
  const std::int64_t sequence = workload.model.sequence;
  const std::size_t width = static_cast<std::size_t>(sequence);
  Generator random(workload.seed, "tokens"), masks(workload.seed, "masks");
  std::vector<std::int32_t> inputs, targets;
  for (std::int64_t n = 0; n < samples; ++n) {
    std::vector<std::int32_t> tokens(width + 1);
    for (std::int32_t& token : tokens) {
      token = static_cast<std::int32_t>(random.Between(0, workload.model.vocabulary - 1));
    }
    inputs.insert(inputs.end(), tokens.begin(), tokens.end() - 1);
    targets.insert(targets.end(), tokens.begin() + 1, tokens.end());
    const auto& place = places[static_cast<std::size_t>(n)];
    if (workload.data.uneven && place) {
      Mask(ValidTargets(sequence, *place), masks, std::span(targets).last(width));
    }
  }
  return {{"inputs", Tensor::FromInt32({samples, sequence}, inputs)},
          {"targets", Tensor::FromInt32({samples, sequence}, targets)}};
}

Tensor Normals(const protocol::Workload& workload, const char* name, protocol::Shape shape) {
  Generator random(workload.seed, name);
  std::vector<double> values(static_cast<std::size_t>(protocol::ElementCount(shape)));
  for (double& value : values) value = Representable(workload.precision, random.Normal());
  return Tensor::FromDoubles(protocol::DType::kF64, std::move(shape), values);
}

Tensors FeatureData(const protocol::Workload& workload, std::int64_t samples,
                    const std::vector<std::optional<Place>>& places) {
  const protocol::Model& model = workload.model;
  std::vector<std::uint8_t> counts(static_cast<std::size_t>(samples), 1);
  for (std::size_t n = 0; n < counts.size(); ++n) {
    if (!workload.data.uneven || !places[n] || places[n]->batch == 1) continue;
    counts[n] = SampleCounts(*places[n], std::max<std::int64_t>(1, places[n]->batch / 3));
  }
  Tensors data = {{"inputs", Normals(workload, "features", {samples, model.sizes.front()})}};
  if (model.loss == protocol::LossKind::kSquaredError) {
    data["targets"] = Normals(workload, "targets", {samples, model.sizes.back()});
    if (workload.data.uneven) {
      data["valid"] = Tensor::Zeros(protocol::DType::kU8, {samples});
      std::copy(counts.begin(), counts.end(), data["valid"].As<std::uint8_t>().begin());
    }
    return data;
  }
  Generator random(workload.seed, "classes");
  std::vector<std::int32_t> classes(counts.size());
  for (std::size_t n = 0; n < classes.size(); ++n) {
    const std::int64_t drawn = random.Between(0, model.sizes.back() - 1);
    classes[n] = counts[n] != 0 ? static_cast<std::int32_t>(drawn) : -1;
  }
  data["targets"] = Tensor::FromInt32({samples}, classes);
  return data;
}

}  // namespace

Tensors SeededData(const protocol::Workload& workload) {
  const std::int64_t samples =
      workload.data.samples > 0 ? workload.data.samples : workload.global_batch * workload.steps;
  Tensor order = OrderOf(workload, samples, "data.samples");
  const auto places = FirstPlaces(order, samples);
  Tensors data = workload.model.kind == protocol::ModelKind::kGpt ? TokenData(workload, samples, places)
                                                                  : FeatureData(workload, samples, places);
  data["order"] = std::move(order);
  return data;
}

}  // namespace lockstep::inputs
