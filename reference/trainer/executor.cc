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

Executor::Executor(const RankContext& context, const ExecutorParts& parts, std::vector<LineAction> line)
    : context_(context), parts_(parts), transfers_(context, parts.stages), line_(std::move(line)) {
  for (std::size_t i = 0; i < line_.size(); ++i) {
    if (AddsGradients(line_[i].action.kind)) last_gradient_[line_[i].action.stage] = i;
  }
}

Stage& Executor::StageOf(const Action& action) {
  for (Stage& stage : parts_.stages) {
    if (stage.index == action.stage) return stage;
  }
  throw std::logic_error("no stage here for action " + protocol::ToString(action));
}

Activations Executor::Prepare(const Action& action, const Stage& stage, MicroBatch& micro_batch) {
  if (action.kind == ActionKind::kWeightGradient) return {};
  if (action.kind == ActionKind::kForward) {
    if (stage.first || stage.last) {
      const Activity::Span span(context_.activity, SpanName::kData);
      if (stage.first) parts_.loader.FillInputs(micro_batch);
      if (stage.last) parts_.loader.FillTargets(micro_batch);
    }
    return stage.first ? std::exchange(micro_batch.inputs, {}) : transfers_.Take(*NeedOf(action));
  }
  Activations d_y = transfers_.Take(*NeedOf(action));
  transfers_.Release({stage.index + 1, micro_batch.index, false});
  return d_y;
}

Activations Executor::Compute(const Action& action, Stage& stage, MicroBatch& micro_batch, Activations in,
                              const LayerDone& layer_done) {
  if (action.kind == ActionKind::kForward) return stage.Forward(micro_batch, in);
  if (action.kind == ActionKind::kInputGradient) return stage.InputGradient(micro_batch, std::move(in));
  Activations out;
  parts_.accumulation.BeginBackward(micro_batch);
  if (action.kind == ActionKind::kBackward) {
    out = stage.Backward(micro_batch, std::move(in), layer_done);
  } else {
    stage.WeightGradient(micro_batch, layer_done);
  }
  parts_.accumulation.EndBackward(micro_batch);
  return out;
}

void Executor::Conclude(const Action& action, const Stage& stage, MicroBatch& micro_batch, Activations out) {
  const bool forward = action.kind == ActionKind::kForward;
  if (AddsGradients(action.kind) && stage.first) FreeInputs(micro_batch);
  if (action.kind == ActionKind::kWeightGradient) return;
  if (!forward && stage.last) FreeTargets(micro_batch);
  if (forward ? stage.last : stage.first) return;
  const Activity::Span span(context_.activity, SpanName::kSend);
  context_.activity.delays().Sleep("send", micro_batch.step, micro_batch.index);
  transfers_.Pass(stage.index, {stage.index + (forward ? 1 : -1), micro_batch.index, !forward}, std::move(out));
}

void Executor::Do(std::size_t position, MicroBatch& micro_batch) {
  const Action& action = line_[position].action;
  Stage& stage = StageOf(action);
  const bool completes = AddsGradients(action.kind) && last_gradient_.at(action.stage) == position;
  const LayerDone layer_done = [&](Layer& layer) {
    if (completes) parts_.reducer.Ready(layer.Parameters());
  };
  Activity& activity = context_.activity;
  const Recorder::Id op = activity.BeginOp(line_[position].position, action);
  if (micro_batch.rows == 0) {
    activity.StartOp(op, context_.device);
    for (auto layer = stage.layers.rbegin(); layer != stage.layers.rend(); ++layer) layer_done(**layer);
    activity.EndOp(op, action, context_.device);
  } else {
    Activations in = Prepare(action, stage, micro_batch);
    activity.StartOp(op, context_.device);
    Activations out = Compute(action, stage, micro_batch, std::move(in), layer_done);
    activity.EndOp(op, action, context_.device);
    Conclude(action, stage, micro_batch, std::move(out));
  }
  activity.PassOp();
}

void Executor::Run(std::vector<MicroBatch>& micro_batches, const std::function<void(const MicroBatch&)>& on_forward) {
  std::set<std::int64_t> seen;
  transfers_.Begin(micro_batches);
  const auto expect = [&](std::size_t position) {
    if (position >= line_.size()) return;
    if (const auto need = NeedOf(line_[position].action)) transfers_.Expect(*need);
  };
  expect(0);
  for (std::size_t i = 0; i < line_.size(); ++i) {
    const Action& action = line_[i].action;
    MicroBatch& micro_batch = micro_batches.at(static_cast<std::size_t>(action.micro_batch));
    expect(i + 1);  // beside the computation of this one
    if (action.kind == ActionKind::kForward && seen.insert(action.micro_batch).second) on_forward(micro_batch);
    Do(i, micro_batch);
  }
  transfers_.Finish();
  for (Stage& stage : parts_.stages) stage.Clear();
}

}  // namespace lockstep::trainer
