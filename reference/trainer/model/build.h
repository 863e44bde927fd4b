// Builds the stages that stand on this rank, and with them the list of its parameters.
#pragma once

#include <vector>

#include "reference/trainer/model/factory.h"
#include "reference/trainer/model/stage.h"

namespace lockstep::trainer {

// Stages in ascending order; stage s stands on pipeline rank s mod pipeline.
std::vector<Stage> BuildStages(const RankContext& context, ParameterStore& parameters, LayerFactory& factory);

// Units [first, first + stage.units) of each kind of model, added to `stage`.
void BuildGpt(const RankContext& context, ParameterStore& parameters, LayerFactory& factory, std::int64_t first,
              Stage& stage);
void BuildMlp(const RankContext& context, ParameterStore& parameters, LayerFactory& factory, std::int64_t first,
              Stage& stage);

}  // namespace lockstep::trainer
