#include "reference/trainer/model/build.h"

#include "harness/protocol/bad_input.h"

namespace lockstep::trainer {

std::vector<Stage> BuildStages(const RankContext& context, ParameterStore& parameters, LayerFactory& factory) {
  const protocol::Plan& plan = context.plan();
  const std::vector<std::int64_t> partition = protocol::StagePartition(plan, context.model());
  std::vector<Stage> stages;
  std::int64_t first = 0;
  for (std::int64_t s = 0; s < plan.Stages(); ++s) {
    const std::int64_t units = partition[static_cast<std::size_t>(s)];
    if (s % plan.pipeline == context.at.pipeline) {
      Stage stage;
      stage.index = s;
      stage.units = units;
      stage.first = s == 0;
      stage.last = s == plan.Stages() - 1;
      if (context.model().kind == protocol::ModelKind::kGpt) {
        BuildGpt(context, parameters, factory, first, stage);
      } else {
        BuildMlp(context, parameters, factory, first, stage);
      }
      stages.push_back(std::move(stage));
    }
    first += units;
  }
  return stages;
}

}  // namespace lockstep::trainer
