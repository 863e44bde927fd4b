#include "reference/trainer/model/build.h"

namespace lockstep::trainer {

bool IsTiedAcross(const RankContext& context, const Stage& stage) {
  const std::int64_t other = stage.first ? context.wiring.stages() - 1 : 0;
  return context.model().tied && !context.wiring.StandsOn(other, context.at.pipeline);
}

std::vector<Stage> BuildStages(const RankContext& context, ParameterStore& parameters, LayerFactory& factory) {
  const protocol::Plan& plan = context.plan();
  const std::vector<std::int64_t> partition = protocol::StagePartition(plan, context.model());
  std::vector<Stage> stages;
  std::int64_t first = 0;
  for (std::int64_t s = 0; s < plan.Stages(); ++s) {
    const std::int64_t units = partition[static_cast<std::size_t>(s)];
    if (context.wiring.StandsOn(s, context.at.pipeline)) {
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
