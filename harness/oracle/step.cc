// One step's loss and gradients: the mean over all valid targets of the global batch (PROTOCOL.md, "Loss").
#include "harness/oracle/models.h"
#include "harness/oracle/optimizer.h"
#include "harness/oracle/oracle.h"
#include "harness/protocol/bad_input.h"
#include "harness/protocol/parameters.h"

namespace lockstep::oracle {

TraceStep LossAndGradients(const protocol::Workload& workload, const protocol::Inputs& inputs, const Values& parameters,
                           std::int64_t step) {
  const protocol::Model& model = workload.model;
  if (model.kind == protocol::ModelKind::kOwn) {
    throw protocol::BadInput("model", "own:" + model.own_name + " is known to its trainer only",
                             "its own fp64 run on one device takes the oracle's place");
  }
  TraceStep result;
  for (const protocol::Parameter& parameter : protocol::Parameters(model)) {
    result.gradients[parameter.name].assign(static_cast<std::size_t>(parameter.size()), 0.0);
  }
  for (const std::int64_t id : protocol::BatchSamples(inputs.data.at("order"), step)) {
    if (model.kind == protocol::ModelKind::kMlp) {
      const FeatureSample sample = FeaturesOf(inputs, model.loss, id);
      result.valid_tokens += sample.valid ? 1 : 0;
      result.loss += MlpSample(model, parameters, sample, result.gradients);
    } else {
      const TokenSample sample = TokensOf(inputs, model.sequence, id);
      const DropoutKey key{workload.seed, static_cast<std::uint64_t>(step), static_cast<std::uint64_t>(id)};
      result.valid_tokens += sample.valid();
      result.loss += GptSample(model, parameters, sample, key, result.gradients);
    }
  }
  if (result.valid_tokens > 0) {  // otherwise loss and gradients are the zeros they began as
    const double n = static_cast<double>(result.valid_tokens);
    result.loss /= n;
    for (auto& [name, values] : result.gradients) {
      for (double& g : values) g /= n;
    }
  }
  result.gradient_norm = GlobalNorm(model, result.gradients);
  return result;
}

}  // namespace lockstep::oracle
