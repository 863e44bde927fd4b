#include "harness/launch/stuck/watcher.h"

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

#include "harness/launch/process.h"
#include "harness/launch/stuck/diagnose.h"
#include "harness/launch/stuck/graph.h"
#include "harness/protocol/evidence.h"
#include "harness/protocol/evidence_files.h"
#include "harness/protocol/files.h"

namespace lockstep::launch::stuck {
namespace {

using protocol::Cursor;

// What holds a run up is to be named 2 s or three median steps after its last move: seconds and median steps that leave
// time for the looks.
constexpr double kLeast = 1.5, kSteps = 2.25;
constexpr double kMostBetweenLooks = 0.2;        // seconds that a look counts for
constexpr double kBaseline = 0.25;               // of stillness, after which it is worth being measured
constexpr double kAgain = 0.2;                   // between two explanations that lead nowhere
constexpr std::streamoff kEventsRead = 1 << 20;  // bytes at the end of events.jsonl

bool HasGivenUp(const Cursor& cursor) { return cursor.state == protocol::CursorState::kGaveUp; }

// To give up is no progress: the time until then is what it took to be found.
bool SamePlace(const Cursor& before, const Cursor& now) {
  if (HasGivenUp(now)) return true;
  return before.state == now.state && before.since == now.since && before.done == now.done && before.step == now.step;
}

// Seconds that any thread of the process has waited for a core; 0 where the kernel doesn't count.
double WaitedForCore(pid_t pid) {
  double most = 0;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/task", error)) {
    std::ifstream file(entry.path() / "schedstat");
    double ran = 0, waited = 0;
    if (file >> ran >> waited) most = std::max(most, waited * 1e-9);
  }
  return most;
}

// Whether no rank that is only short of a core can look like that: its message would be under way.
bool IsCertain(const protocol::Stuck& stuck, const Scene& scene) {
  using protocol::StuckKind;
  if (stuck.kind == StuckKind::kDeadlock) {
    return std::all_of(stuck.cycle.begin(), stuck.cycle.end(),
                       [&](std::int64_t rank) { return !scene.ranks[static_cast<std::size_t>(rank)].line.empty(); });
  }
  return stuck.kind == StuckKind::kPeerDead || stuck.kind == StuckKind::kPeerStopped;
}

std::filesystem::path Folder(const std::filesystem::path& request, std::size_t rank) {
  return protocol::RankFolder(request, static_cast<std::int64_t>(rank));
}

// Nothing unless every rank has one.
std::optional<std::vector<Cursor>> ReadCursors(const std::filesystem::path& request, std::size_t ranks) {
  std::vector<Cursor> cursors;
  for (std::size_t rank = 0; rank < ranks; ++rank) {
    const auto cursor = protocol::ReadCursor(Folder(request, rank) / protocol::kCursorFile);
    if (!cursor) return std::nullopt;
    cursors.push_back(*cursor);
  }
  return cursors;
}

// Line and groups as the rank says they are, or the line of the request.
void ReadHello(const std::filesystem::path& folder, const protocol::Schedule& schedule, std::int64_t pipeline_rank,
               RankView* view) {
  try {
    const auto file = folder / "hello.json";
    const protocol::Hello hello = protocol::HelloFromJson(protocol::ReadJson(file), file.string());
    view->groups = hello.groups;
    view->line = protocol::ParseActions(hello.effective.line, file.string());
  } catch (const std::exception&) {  // whether evidence is right is for its readers to say, later
  }
  const bool known = pipeline_rank < static_cast<std::int64_t>(schedule.ranks.size());
  if (view->line.empty() && known) view->line = schedule.ranks[static_cast<std::size_t>(pipeline_rank)];
}

}  // namespace

double MedianStep(const std::filesystem::path& events) {
  std::ifstream file(events, std::ios::binary | std::ios::ate);
  if (!file) return 0;
  const std::streamoff from = std::max<std::streamoff>(0, file.tellg() - kEventsRead);
  file.seekg(from);
  std::string line;
  if (from > 0) std::getline(file, line);  // a part of one
  std::vector<double> seconds;
  while (std::getline(file, line)) {
    const nlohmann::json event = nlohmann::json::parse(line, nullptr, false);
    if (!event.is_object() || event.value("event", "") != "step") continue;
    const auto wall = event.find("wall_seconds");
    if (wall != event.end() && wall->is_number()) seconds.push_back(wall->get<double>());
  }
  if (seconds.empty()) return 0;
  const auto middle = seconds.begin() + std::ssize(seconds) / 2;
  std::nth_element(seconds.begin(), middle, seconds.end());
  return *middle;
}

bool Watcher::Look(const std::vector<Seen>& ranks, Clock::time_point now) {
  const double passed = std::min(std::chrono::duration<double>(now - last_).count(), kMostBetweenLooks);
  last_ = now;
  if (stuck_) return false;
  const bool here = std::all_of(ranks.begin(), ranks.end(), [](const Seen& rank) { return rank.here; });
  const auto cursors = here ? ReadCursors(request_, ranks.size()) : std::nullopt;
  const bool same = cursors && cursors->size() == cursors_.size() &&
                    std::equal(cursors_.begin(), cursors_.end(), cursors->begin(), SamePlace);
  const auto given_up = std::count_if(cursors_.begin(), cursors_.end(), HasGivenUp);
  cursors_ = cursors.value_or(std::vector<Cursor>());
  if (!same) {
    still_ = next_ = 0;
    waited_.clear();
    limit_.reset();
    before_.reset();
    told_ = false;
    return cursors.has_value();
  }
  still_ += passed;
  // Who gives up has yet to say why, and its launcher to end the others.
  if (std::count_if(cursors_.begin(), cursors_.end(), HasGivenUp) > given_up) next_ = still_ + kLeast;
  if (still_ > kBaseline && waited_.empty()) {
    pids_.clear();
    for (const Seen& rank : ranks) {
      pids_.push_back(rank.pid);
      waited_.push_back(rank.pid > 0 ? WaitedForCore(rank.pid) : 0);
    }
  }
  const bool all_done = std::all_of(ranks.begin(), ranks.end(), [](const Seen& rank) { return rank.done; });
  if (still_ > kLeast && still_ >= next_ && !all_done && still_ > Limit()) Suspect(ranks);
  return false;
}

double Watcher::Limit() {
  if (!limit_) limit_ = std::max(kLeast, kSteps * MedianStep(Folder(request_, 0) / "events.jsonl"));
  return *limit_;
}

double Watcher::StarvedOf(std::int64_t rank) const {
  const auto index = static_cast<std::size_t>(rank);
  return index < waited_.size() && pids_[index] > 0 ? WaitedForCore(pids_[index]) - waited_[index] : 0;
}

double Watcher::Starved() const {
  double most = 0;
  for (std::int64_t rank = 0; rank < std::ssize(waited_); ++rank) most = std::max(most, StarvedOf(rank));
  return most;
}

Scene Watcher::SceneOf(const std::vector<Seen>& ranks) const {
  Scene scene;
  protocol::Request request;
  try {
    request = protocol::ReadRequest(request_);
  } catch (const std::exception&) {  // then the cursors speak for themselves
    request.plan.data = static_cast<std::int64_t>(ranks.size());
  }
  scene.plan = request.plan;
  scene.first_step = request.checkpoint.resume_step + 1;
  scene.now = std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now().time_since_epoch()).count();
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    RankView view;
    view.pid = ranks[i].pid;
    view.life = ranks[i].dead ? Life::kDead : Inspect(ranks[i].pid).state == 'T' ? Life::kStopped : Life::kAlive;
    view.death = ranks[i].death;
    view.error = ranks[i].error;
    const std::int64_t pipeline_rank = scene.plan.At(static_cast<std::int64_t>(i)).pipeline;
    ReadHello(Folder(request_, i), request.schedule, pipeline_rank, &view);
    scene.ranks.push_back(std::move(view));
  }
  return scene;
}

void Watcher::Suspect(const std::vector<Seen>& ranks) {
  next_ = still_ + kAgain;
  const bool traced = std::any_of(ranks.begin(), ranks.end(),
                                  [](const Seen& rank) { return rank.pid > 0 && Inspect(rank.pid).state == 't'; });
  if (traced) return;
  Scene scene = SceneOf(ranks);
  for (std::size_t i = 0; i < ranks.size(); ++i) scene.ranks[i].cursor = cursors_[i];
  std::optional<protocol::Stuck> found = Diagnose(scene);
  if (!found) return;
  // Who works is held up by its own want of a core alone; a message under way by that of any rank.
  const double starved = found->kind == protocol::StuckKind::kPeerSlow ? StarvedOf(found->rank) : Starved();
  found->seconds = IsCertain(*found, scene) ? still_ : still_ - starved;
  if (found->seconds < Limit()) return;
  if (found->kind == protocol::StuckKind::kPeerSlow) {
    if (found->peer < 0) return;  // nobody is kept waiting
    if (told_) slow_.pop_back();  // it has become longer
    told_ = true;
    slow_.push_back(*found);
    return;
  }
  if (before_ && before_->kind == found->kind && before_->rank == found->rank) {
    stuck_ = found;
    return;
  }
  before_ = found;
  next_ = still_;
}

std::optional<protocol::Stuck> Watcher::Explain(const std::vector<Seen>& ranks, std::int64_t rank) const {
  const auto cursors = ReadCursors(request_, ranks.size());
  if (!cursors) return std::nullopt;
  Scene scene = SceneOf(ranks);
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    RankView& view = scene.ranks[i];
    view.cursor = (*cursors)[i];
    // The others end because this one did.
    view.life = static_cast<std::int64_t>(i) == rank ? Life::kDead : Life::kAlive;
    if (static_cast<std::int64_t>(i) == rank) continue;
    view.error.clear();
    TakeBack(&view.cursor);
  }
  const RankView& view = scene.ranks[static_cast<std::size_t>(rank)];
  std::optional<protocol::Stuck> found = view.error.empty() ? Diagnose(scene) : GaveUp(scene, rank, view.error);
  if (found) found->seconds = still_;
  return found;
}

}  // namespace lockstep::launch::stuck
