// The mlp of PROTOCOL.md: h_{i+1} = f(h_i W_i^T + b_i), no f on the last layer.
#include <string>
#include <vector>

#include "harness/oracle/layers.h"
#include "harness/oracle/losses.h"
#include "harness/oracle/models.h"

namespace lockstep::oracle {
namespace {

std::string LayerName(std::int64_t layer) { return "layers." + std::to_string(layer); }

}  // namespace

double MlpSample(const protocol::Model& model, const Values& parameters, const FeatureSample& sample,
                 Values& gradients) {
  if (!sample.valid) return 0;
  const std::int64_t layers = static_cast<std::int64_t>(model.sizes.size()) - 1;
  std::vector<Matrix> h;  // h[i]: input of layer i
  std::vector<Matrix> z;  // z[i]: output of layer i before the activation
  Matrix features(1, model.sizes.front());
  features.values = sample.features;
  h.push_back(features);
  for (std::int64_t i = 0; i < layers; ++i) {
    z.push_back(Linear(h.back(), parameters.at(LayerName(i) + ".weight"), parameters.at(LayerName(i) + ".bias")));
    if (i + 1 < layers) h.push_back(Activate(model.activation, z.back()));
  }

  Matrix dz(1, model.sizes.back());
  const double loss = model.loss == protocol::LossKind::kSquaredError
                          ? SquaredError(z.back(), 0, sample.target_values, dz)
                          : CrossEntropy(z.back(), 0, sample.target_class, dz);

  for (std::int64_t i = layers - 1; i >= 0; --i) {
    const std::size_t at = static_cast<std::size_t>(i);
    const Matrix dh = LinearBackward(h[at], parameters.at(LayerName(i) + ".weight"), dz,
                                     gradients.at(LayerName(i) + ".weight"), gradients.at(LayerName(i) + ".bias"));
    if (i > 0) dz = ActivateBackward(model.activation, z[at - 1], dh);
  }
  return loss;
}

}  // namespace lockstep::oracle
