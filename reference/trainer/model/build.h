// Builds the stages that stand on this rank, and with them the list of its parameters.
#pragma once

#include <vector>

#include "reference/trainer/model/factory.h"
#include "reference/trainer/model/stage.h"

namespace lockstep::trainer {

// Stages in ascending order.
std::vector<Stage> BuildStages(const RankContext& context, ParameterStore& parameters, LayerFactory& factory);

// The first and the last stage have an embedding in common, and stand on different ranks. `stage`: one of the two.
bool IsTiedAcross(const RankContext& context, const Stage& stage);

// Units [first, first + stage.units) of each kind of model, added to `stage`.
void BuildGpt(const RankContext& context, ParameterStore& parameters, LayerFactory& factory, std::int64_t first,
              Stage& stage);
void BuildMlp(const RankContext& context, ParameterStore& parameters, LayerFactory& factory, std::int64_t first,
              Stage& stage);

}  // namespace lockstep::trainer
