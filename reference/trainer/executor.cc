#include "reference/trainer/executor.h"

#include <set>
#include <stdexcept>
#include <utility>

namespace lockstep::trainer {

using protocol::Action;
using protocol::ActionKind;

namespace {

bool IsBackward(const Action& action) { return action.kind == ActionKind::kBackward; }

device::Edge EdgeOf(std::int64_t source, std::int64_t target, const MicroBatch& micro_batch, bool backward) {
  return {.source_stage = static_cast<std::int32_t>(source),
          .target_stage = static_cast<std::int32_t>(target),
          .micro_batch = static_cast<std::int32_t>(micro_batch.index),
          .direction = backward ? 1 : 0,
          .step = static_cast<std::int32_t>(micro_batch.step)};
}

}  // namespace

Executor::Executor(const RankContext& context, const ExecutorParts& parts, std::vector<Action> line)
    : context_(context), parts_(parts), line_(std::move(line)) {
  for (std::size_t i = 0; i < line_.size(); ++i) {
    if (IsBackward(line_[i])) last_backward_[line_[i].stage] = i;
  }
}

Stage& Executor::StageOf(const Action& action) {
  for (Stage& stage : parts_.stages) {
    if (stage.index == action.stage) return stage;
  }
  throw std::logic_error("no stage here for action " + protocol::ToString(action));
}

std::int64_t Executor::Source(const Action& action) const {
  if (!IsBackward(action)) return action.stage - 1;
  return action.stage + 1 < context_.plan().Stages() ? action.stage + 1 : -1;
}

void Executor::PostReceive(const Action& action, const MicroBatch& micro_batch) {
  const std::int64_t source = Source(action);
  const bool backward = IsBackward(action);
  const Stage& stage = StageOf(action);
  const std::int64_t width = backward ? stage.output_width : stage.input_width;
  if (source < 0 || Here(source) || micro_batch.local.size * width == 0) return;
  const Key key{action.stage, action.micro_batch, backward};
  Message message{
      .key = key,
      .payload = NewActivations(context_.device, micro_batch.local.size, width, device::Category::kCommunication),
      .work = nullptr};
  auto& link = backward ? context_.groups.backward : context_.groups.forward;
  message.work =
      link->Receive(message.payload.size(), message.payload.data(), static_cast<int>(source % context_.plan().pipeline),
                    EdgeOf(source, action.stage, micro_batch, backward));
  arriving_.insert_or_assign(key, std::move(message));
}

Activations Executor::Take(const Action& action) {
  auto node = arriving_.extract(Key{action.stage, action.micro_batch, IsBackward(action)});
  if (node.empty()) return {};
  if (node.mapped().work) node.mapped().work->Wait();
  return std::move(node.mapped().payload);
}

void Executor::Pass(const Action& action, std::int64_t target, const MicroBatch& micro_batch, Activations payload) {
  const bool backward = IsBackward(action);
  Message message{.key = {target, action.micro_batch, backward}, .payload = std::move(payload), .work = nullptr};
  if (Here(target)) {
    arriving_.insert_or_assign(message.key, std::move(message));
    return;
  }
  if (message.payload.size() == 0) return;
  auto& link = backward ? context_.groups.backward : context_.groups.forward;
  message.work =
      link->Send(message.payload.size(), message.payload.data(), static_cast<int>(target % context_.plan().pipeline),
                 EdgeOf(action.stage, target, micro_batch, backward));
  sent_.push_back(std::move(message));
}

// Frees what has left. What the next stage has answered for certainly has.
void Executor::ReleaseSent(const Key& answered) {
  std::erase_if(sent_, [&](Message& message) {
    const bool left = message.key == answered || message.work->Done();
    if (left) message.work->Wait();
    return left;
  });
}

void Executor::Forward(const Action& action, MicroBatch& micro_batch) {
  Stage& stage = StageOf(action);
  if (micro_batch.rows == 0) return;
  if (stage.first) parts_.loader.FillInputs(micro_batch);
  if (stage.last) parts_.loader.FillTargets(micro_batch);
  Activations x = stage.first ? std::move(micro_batch.inputs) : Take(action);
  micro_batch.inputs = {};
  Activations y = stage.Forward(micro_batch, x);
  x = {};
  if (!stage.last) Pass(action, action.stage + 1, micro_batch, std::move(y));
}

void Executor::Backward(const Action& action, MicroBatch& micro_batch, bool last) {
  Stage& stage = StageOf(action);
  const auto layer_done = [&](Layer& layer) {
    if (last) parts_.reducer.Ready(layer.Parameters());
  };
  if (micro_batch.rows == 0) {
    for (auto layer = stage.layers.rbegin(); layer != stage.layers.rend(); ++layer) layer_done(**layer);
    return;
  }
  Activations d_y = Take(action);
  ReleaseSent({action.stage + 1, action.micro_batch, false});
  parts_.accumulation.BeginBackward(micro_batch);
  Activations d_x = stage.Backward(micro_batch, std::move(d_y), layer_done);
  parts_.accumulation.EndBackward(micro_batch);
  if (stage.first) FreeInputs(micro_batch);
  if (stage.last) FreeTargets(micro_batch);
  if (!stage.first) Pass(action, action.stage - 1, micro_batch, std::move(d_x));
}

void Executor::Run(std::vector<MicroBatch>& micro_batches, const std::function<void(const MicroBatch&)>& on_forward) {
  std::set<std::int64_t> seen;
  const auto of = [&](const Action& action) -> MicroBatch& {
    return micro_batches.at(static_cast<std::size_t>(action.micro_batch));
  };
  if (!line_.empty()) PostReceive(line_.front(), of(line_.front()));
  for (std::size_t i = 0; i < line_.size(); ++i) {
    const Action& action = line_[i];
    if (i + 1 < line_.size()) PostReceive(line_[i + 1], of(line_[i + 1]));
    if (IsBackward(action)) {
      Backward(action, of(action), last_backward_.at(action.stage) == i);
    } else {
      if (seen.insert(action.micro_batch).second) on_forward(of(action));
      Forward(action, of(action));
    }
  }
  for (Message& message : sent_) message.work->Wait();
  sent_.clear();
  arriving_.clear();
  for (Stage& stage : parts_.stages) stage.Clear();
}

}  // namespace lockstep::trainer
