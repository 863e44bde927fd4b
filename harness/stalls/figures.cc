#include "harness/stalls/figures.h"

#include "harness/stalls/advice.h"
#include "harness/stalls/attribution.h"

namespace lockstep::stalls {
namespace {

double Of(const RankStep& figures, Category category) { return figures.seconds[static_cast<std::size_t>(category)]; }

bool HaveTimelines(const std::filesystem::path& folder, const protocol::Request& request) {
  for (std::int64_t rank = 0; rank < request.plan.WorldSize(); ++rank) {
    if (!std::filesystem::exists(protocol::RankFolder(folder, rank) / protocol::kTimelineFile)) return false;
  }
  return true;
}

double UntracedIdle(const Run& run, const protocol::RankEvidence& evidence) {
  double seconds = 0;
  for (const protocol::StepEvent& event : evidence.steps) {
    if (event.step < run.first_step || event.step > run.last_step) seconds += event.idle_seconds;
  }
  return seconds;
}

void AddBubble(const Run& run, const Attribution& attribution, RunFigures* figures) {
  double bubble = 0, wall = 0;
  for (const RankStep& sum : SumOverSteps(attribution, FirstCountedStep(run))) {
    bubble += Of(sum, Category::kBubble);
    wall += sum.wall;
  }
  if (run.schedule.ranks.size() < 2 || !(wall > 0)) return;
  figures->bubble_ratio = bubble / wall;
  figures->bubble_expected_ratio = AllowanceOf(run, attribution).ratio;
}

}  // namespace

RunFigures FiguresOf(const std::filesystem::path& request_folder, const protocol::Request& request,
                     const std::vector<protocol::RankEvidence>& ranks) {
  RunFigures figures;
  if (!HaveTimelines(request_folder, request)) return figures;
  const Run run = Join(request.id, request.plan, request.schedule, protocol::ReadTimelines(request_folder, request));
  const Attribution attribution = Attribute(run);
  for (const RankStep& sum : SumOverSteps(attribution, run.first_step)) {
    std::map<std::string, double>& seconds = figures.seconds.emplace_back();
    for (const Category category : AllCategories()) seconds[std::string(NameOf(category))] = Of(sum, category);
    for (const protocol::RankEvidence& rank : ranks) {
      if (rank.hello.rank != sum.rank) continue;
      if (const double untraced = UntracedIdle(run, rank); untraced > 0) seconds["untraced"] = untraced;
    }
  }
  AddBubble(run, attribution, &figures);
  return figures;
}

}  // namespace lockstep::stalls
