#include "harness/schedule/boxes.h"

#include <algorithm>
#include <stdexcept>

namespace lockstep::schedule {

using protocol::Action;
using protocol::ActionKind;

namespace {

Paint PaintOf(ActionKind kind) {
  switch (kind) {
    case ActionKind::kForward:
      return Paint::kForward;
    case ActionKind::kBackward:
      return Paint::kBackward;
    case ActionKind::kInputGradient:
      return Paint::kInputGradient;
    case ActionKind::kWeightGradient:
      return Paint::kWeightGradient;
    case ActionKind::kRecompute:
      return Paint::kRecompute;
    case ActionKind::kOptimizer:
      return Paint::kOptimizer;
    default:
      return Paint::kCommunication;
  }
}

std::string LabelOf(const Action& action) {
  return protocol::IsOfMicroBatch(action.kind) ? std::to_string(action.micro_batch) : "";
}

std::int64_t ChunkOf(const std::vector<std::int64_t>& stages, std::int64_t stage) {
  return std::find(stages.begin(), stages.end(), stage) - stages.begin();
}

std::string Count(std::int64_t number, const std::string& one, const std::string& plural) {
  return std::to_string(number) + " " + one + (number == 1 ? "" : plural);
}

}  // namespace

const std::vector<PaintStyle>& Paints() {
  static const std::vector<PaintStyle> paints{
      {Paint::kForward, "F", "forward", "#56B4E9", {117, 153, 75}},
      {Paint::kBackward, "B", "backward", "#E69F00", {214, 223, 208}},
      {Paint::kInputGradient, "I", "input gradient", "#F0E442", {227, 230, 226}},
      {Paint::kWeightGradient, "W", "weight gradient", "#009E73", {36, 115, 36}},
      {Paint::kFused, "F&B", "forward and backward at once", "#CC79A7", {176, 182, 169}},
      {Paint::kRecompute, "R", "recomputation", "#9ecae1", {110, 146, 67}},
      {Paint::kOptimizer, "O", "optimizer", "#D55E00", {166, 173, 130}},
      {Paint::kCommunication, "C", "collective", "#999999", {246, 250, 242}}};
  return paints;
}

const PaintStyle& StyleOf(Paint paint) {
  for (const PaintStyle& style : Paints()) {
    if (style.paint == paint) return style;
  }
  throw std::logic_error("a paint without a style");
}

Picture PictureOf(const protocol::Schedule& schedule, const Simulation& simulation) {
  const auto placement = protocol::PlacementOf(schedule);
  Picture picture;
  picture.ranks = schedule.ranks.size();
  picture.chunks = Chunks(schedule);
  picture.makespan = simulation.makespan;
  picture.title = schedule.name + ": " + Count(static_cast<std::int64_t>(picture.ranks), "rank", "s") + ", " +
                  (picture.chunks > 1 ? Count(picture.chunks, "stage", "s") + " each, " : "") +
                  Count(schedule.micro_batches, "micro-batch", "es");
  picture.shortest = 0;
  for (std::size_t rank = 0; rank < picture.ranks; ++rank) {
    const auto& line = schedule.ranks[rank];
    for (std::size_t i = 0; i < line.size(); ++i) {
      const Span& span = simulation.timeline[rank][i];
      const protocol::Action* forward = &line[i];
      const protocol::Action* backward = line[i].with_next ? &line[++i] : nullptr;
      if (backward != nullptr && backward->kind == ActionKind::kForward) std::swap(forward, backward);
      Box box;
      box.rank = rank;
      box.start = span.start;
      box.end = span.end;
      box.paint = backward != nullptr ? Paint::kFused : PaintOf(forward->kind);
      box.chunk = ChunkOf(placement[rank], forward->stage);
      box.label = LabelOf(*forward);
      box.action = protocol::ToString(*forward);
      if (backward != nullptr) {
        box.backward_chunk = ChunkOf(placement[rank], backward->stage);
        box.label += "&" + LabelOf(*backward);
        box.action += " with " + protocol::ToString(*backward);
      }
      if (box.end == box.start) continue;
      const std::int64_t length = box.end - box.start;
      picture.shortest = picture.shortest == 0 ? length : std::min(picture.shortest, length);
      picture.boxes.push_back(std::move(box));
    }
  }
  picture.shortest = std::max<std::int64_t>(1, picture.shortest);
  return picture;
}

}  // namespace lockstep::schedule
