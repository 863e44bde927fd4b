#include "reference/trainer/executor.h"

#include <optional>
#include <set>
#include <stdexcept>
#include <utility>

namespace lockstep::trainer {

using protocol::Action;
using protocol::ActionKind;

namespace {

bool AddsGradients(ActionKind kind) { return kind == ActionKind::kBackward || kind == ActionKind::kWeightGradient; }

// What an action waits for; a W waits for nothing, its I has been here.
std::optional<Need> NeedOf(const Action& action) {
  if (action.kind == ActionKind::kWeightGradient) return std::nullopt;
  return Need{action.stage, action.micro_batch, action.kind != ActionKind::kForward};
}

}  // namespace

Executor::Executor(const RankContext& context, const ExecutorParts& parts, std::vector<Action> line)
    : parts_(parts), transfers_(context, parts.stages), line_(std::move(line)) {
  for (std::size_t i = 0; i < line_.size(); ++i) {
    if (AddsGradients(line_[i].kind)) last_gradient_[line_[i].stage] = i;
  }
}

Stage& Executor::StageOf(const Action& action) {
  for (Stage& stage : parts_.stages) {
    if (stage.index == action.stage) return stage;
  }
  throw std::logic_error("no stage here for action " + protocol::ToString(action));
}

void Executor::Forward(Stage& stage, MicroBatch& micro_batch) {
  if (micro_batch.rows == 0) return;
  if (stage.first) parts_.loader.FillInputs(micro_batch);
  if (stage.last) parts_.loader.FillTargets(micro_batch);
  Activations x =
      stage.first ? std::move(micro_batch.inputs) : transfers_.Take({stage.index, micro_batch.index, false});
  micro_batch.inputs = {};
  Activations y = stage.Forward(micro_batch, x);
  x = {};
  if (!stage.last) transfers_.Pass(stage.index, {stage.index + 1, micro_batch.index, false}, std::move(y));
}

Activations Executor::OutputGradient(const Stage& stage, const MicroBatch& micro_batch) {
  Activations d_y = transfers_.Take({stage.index, micro_batch.index, true});
  transfers_.Release({stage.index + 1, micro_batch.index, false});
  return d_y;
}

void Executor::PassInputGradient(const Stage& stage, MicroBatch& micro_batch, Activations d_x) {
  if (stage.last) FreeTargets(micro_batch);
  if (!stage.first) transfers_.Pass(stage.index, {stage.index - 1, micro_batch.index, true}, std::move(d_x));
}

void Executor::Backward(Stage& stage, MicroBatch& micro_batch, const LayerDone& layer_done) {
  Activations d_y = OutputGradient(stage, micro_batch);
  parts_.accumulation.BeginBackward(micro_batch);
  Activations d_x = stage.Backward(micro_batch, std::move(d_y), layer_done);
  parts_.accumulation.EndBackward(micro_batch);
  if (stage.first) FreeInputs(micro_batch);
  PassInputGradient(stage, micro_batch, std::move(d_x));
}

void Executor::InputGradient(Stage& stage, MicroBatch& micro_batch) {
  Activations d_y = OutputGradient(stage, micro_batch);
  PassInputGradient(stage, micro_batch, stage.InputGradient(micro_batch, std::move(d_y)));
}

void Executor::WeightGradient(Stage& stage, MicroBatch& micro_batch, const LayerDone& layer_done) {
  parts_.accumulation.BeginBackward(micro_batch);
  stage.WeightGradient(micro_batch, layer_done);
  parts_.accumulation.EndBackward(micro_batch);
  if (stage.first) FreeInputs(micro_batch);
}

void Executor::Do(std::size_t position, MicroBatch& micro_batch) {
  const Action& action = line_[position];
  Stage& stage = StageOf(action);
  const bool completes = AddsGradients(action.kind) && last_gradient_.at(action.stage) == position;
  const LayerDone layer_done = [&](Layer& layer) {
    if (completes) parts_.reducer.Ready(layer.Parameters());
  };
  if (micro_batch.rows == 0) {
    for (auto layer = stage.layers.rbegin(); layer != stage.layers.rend(); ++layer) layer_done(**layer);
    return;
  }
  switch (action.kind) {
    case ActionKind::kForward:
      return Forward(stage, micro_batch);
    case ActionKind::kBackward:
      return Backward(stage, micro_batch, layer_done);
    case ActionKind::kInputGradient:
      return InputGradient(stage, micro_batch);
    case ActionKind::kWeightGradient:
      return WeightGradient(stage, micro_batch, layer_done);
    default:
      throw std::logic_error("can't run action " + protocol::ToString(action));
  }
}

void Executor::Run(std::vector<MicroBatch>& micro_batches, const std::function<void(const MicroBatch&)>& on_forward) {
  std::set<std::int64_t> seen;
  transfers_.Begin(micro_batches);
  const auto expect = [&](std::size_t position) {
    if (position >= line_.size()) return;
    if (const auto need = NeedOf(line_[position])) transfers_.Expect(*need);
  };
  expect(0);
  for (std::size_t i = 0; i < line_.size(); ++i) {
    const Action& action = line_[i];
    MicroBatch& micro_batch = micro_batches.at(static_cast<std::size_t>(action.micro_batch));
    expect(i + 1);  // beside the computation of this one
    if (action.kind == ActionKind::kForward && seen.insert(action.micro_batch).second) on_forward(micro_batch);
    Do(i, micro_batch);
  }
  transfers_.Finish();
  for (Stage& stage : parts_.stages) stage.Clear();
}

}  // namespace lockstep::trainer
