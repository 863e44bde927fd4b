#include "reference/trainer/gradients.h"

#include <algorithm>

namespace lockstep::trainer {

using device::Category;

GradientKind KindOf(const LocalParameter& parameter) {
  if (parameter.tied_across || parameter.gradients.size() > 1) return GradientKind::kTied;
  return parameter.partial ? GradientKind::kPartial : GradientKind::kRegular;
}

GradientArena::GradientArena(const RankContext& context, ParameterStore& store) : context_(context), store_(store) {
  constexpr std::int64_t kLine = 16;  // floats in a cache line
  std::int64_t end = 0;
  for (const GradientKind kind : {GradientKind::kRegular, GradientKind::kPartial, GradientKind::kTied}) {
    for (auto parameter = store.all().rbegin(); parameter != store.all().rend(); ++parameter) {
      if (KindOf(**parameter) != kind || (*parameter)->size() == 0) continue;
      places_.push_back({parameter->get(), end, (*parameter)->size()});
      end = (end + (*parameter)->size() + kLine - 1) / kLine * kLine;
    }
  }
  if (end == 0) return;
  memory_ = context.device.Allocate(static_cast<std::size_t>(end) * sizeof(float), Category::kGradients);
  context.device.Zero(memory_.data(), memory_.bytes());
  for (const Place& place : places_) {
    std::vector<GradientPart>& parts = place.parameter->gradients;
    parts[0].data = memory_.f32() + place.begin;
    for (std::size_t use = 1; use < parts.size(); ++use) {
      second_uses_.push_back(context.device.Allocate(place.parameter->bytes(), Category::kGradients));
      parts[use].data = second_uses_.back().f32();
    }
  }
}

void GradientArena::Reset() {
  for (const auto& parameter : store_.all()) {
    for (GradientPart& part : parameter->gradients) part.touched = false;
  }
}

void GradientArena::ZeroIfUntouched(LocalParameter& parameter) {
  for (GradientPart& part : parameter.gradients) {
    if (!part.touched) context_.device.Zero(part.data, parameter.bytes());
    part.touched = true;
  }
}

}  // namespace lockstep::trainer
