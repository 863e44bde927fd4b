#include "suites/unit/stalls/scene.h"

#include <algorithm>
#include <map>
#include <optional>
#include <tuple>

#include "harness/schedule/generate.h"
#include "harness/schedule/lower.h"

namespace lockstep::stalls {
namespace {

using protocol::Action;
using protocol::ActionKind;
using protocol::Timeline;
using protocol::TimelineMessage;

std::size_t Cast(std::int64_t value) { return static_cast<std::size_t>(value); }

bool Backwards(ActionKind kind) { return kind == ActionKind::kBackward || kind == ActionKind::kInputGradient; }

class Player {
 public:
  explicit Player(const Scene& scene)
      : scene_(scene), schedule_(schedule::ComputeOnly(schedule::Generate(scene.plan))), now_(Cast(size()), 0.0) {
    for (std::int64_t rank = 0; rank < size(); ++rank) {
      Timeline& timeline = timelines_.emplace_back();
      timeline.clock.rank = rank;
      timeline.clock.first_step = 1;
      timeline.clock.last_step = scene.steps;
      timeline.clock.groups["world"] = Members([](const auto&, const auto&) { return true; }, rank);
      timeline.clock.groups["data"] =
          Members([](const auto& a, const auto& b) { return a.pipeline == b.pipeline && a.tensor == b.tensor; }, rank);
    }
  }

  std::vector<Timeline> Play() {
    for (step_ = 1; step_ <= scene_.steps; ++step_) PlayStep();
    return std::move(timelines_);
  }

 private:
  using Key =
      std::tuple<std::int64_t, std::int64_t, bool, std::int64_t>;  // target stage, micro-batch, backward, column

  std::int64_t size() const { return scene_.plan.WorldSize(); }

  template <typename Same>
  std::vector<std::int64_t> Members(const Same& same, std::int64_t rank) const {
    std::vector<std::int64_t> members;
    for (std::int64_t other = 0; other < size(); ++other) {
      if (same(scene_.plan.At(rank), scene_.plan.At(other))) members.push_back(other);
    }
    return members;
  }

  double Extra(std::int64_t rank, const std::string& name, const Action* action = nullptr) const {
    return scene_.extra(
        {rank, step_, name, action == nullptr ? -1 : action->stage, action == nullptr ? -1 : action->micro_batch});
  }

  void Span(std::int64_t rank, const std::string& name, double seconds) {
    double& now = now_[Cast(rank)];
    if (seconds > 0) timelines_[Cast(rank)].spans.push_back({step_, name, {now, now + seconds}});
    now += seconds;
  }

  void PlayStep() {
    sent_.clear();
    std::vector<std::size_t> cursors(Cast(size()), 0);
    std::vector<double> began = now_;
    for (std::int64_t rank = 0; rank < size(); ++rank) Span(rank, "data", scene_.data + Extra(rank, "data"));
    expecting_ = now_;
    for (bool moved = true; moved;) {
      moved = false;
      for (std::int64_t rank = 0; rank < size(); ++rank) {
        const auto& line = schedule_.ranks[Cast(scene_.plan.At(rank).pipeline)];
        while (cursors[Cast(rank)] < line.size() && Do(rank, cursors[Cast(rank)], line[cursors[Cast(rank)]])) {
          ++cursors[Cast(rank)];
          moved = true;
        }
      }
    }
    if (scene_.plan.data > 1) Meet("data", "all_reduce", scene_.reduction);
    if (size() > 1) Meet("world", "host_sum", scene_.meeting);
    for (std::int64_t rank = 0; rank < size(); ++rank) {
      Span(rank, "optimizer", scene_.optimizer + Extra(rank, "optimizer"));
      timelines_[Cast(rank)].steps.push_back({step_, {began[Cast(rank)], now_[Cast(rank)]}});
    }
  }

  std::int64_t RankAt(std::int64_t pipeline, std::int64_t rank) const {
    protocol::Coordinates at = scene_.plan.At(rank);
    at.pipeline = pipeline;
    return scene_.plan.RankOf(at);
  }

  // The pipeline rank that runs a stage's micro-batch.
  std::int64_t Home(std::int64_t stage, std::int64_t micro_batch) const {
    for (std::size_t rank = 0; rank < schedule_.ranks.size(); ++rank) {
      for (const Action& action : schedule_.ranks[rank]) {
        if (action.stage == stage && action.micro_batch == micro_batch) return static_cast<std::int64_t>(rank);
      }
    }
    return -1;
  }

  // False where the message isn't sent yet.
  bool Do(std::int64_t rank, std::size_t position, const Action& action) {
    const bool backward = Backwards(action.kind), forward = action.kind == ActionKind::kForward;
    const std::int64_t here = scene_.plan.At(rank).pipeline;
    const std::int64_t from = action.stage + (backward ? 1 : -1);
    std::optional<double> post;
    const bool comes = (forward || backward) && from >= 0 && from < schedule_.stages;
    if (comes && Home(from, action.micro_batch) != here) {
      const auto found = sent_.find({action.stage, action.micro_batch, backward, Column(rank)});
      if (found == sent_.end()) return false;
      post = found->second;
    }
    double& now = now_[Cast(rank)];
    const double enqueued = now;
    now += scene_.host + Extra(rank, "host");
    if (post) Receive(rank, action, backward, from, *post);
    Compute(rank, position, action, enqueued);
    const std::int64_t to = action.stage + (backward ? -1 : 1);
    const bool goes = (forward || backward) && to >= 0 && to < schedule_.stages;
    if (goes && Home(to, action.micro_batch) != here) Send(rank, action, backward, to);
    return true;
  }

  std::int64_t Column(std::int64_t rank) const {
    return scene_.plan.At(rank).data * scene_.plan.tensor + scene_.plan.At(rank).tensor;
  }

  void Compute(std::int64_t rank, std::size_t position, const Action& action, double enqueued) {
    const std::map<ActionKind, std::pair<std::string, double>> kinds{
        {ActionKind::kForward, {"F", scene_.forward}},
        {ActionKind::kBackward, {"B", scene_.backward}},
        {ActionKind::kInputGradient, {"I", scene_.input_gradient}},
        {ActionKind::kWeightGradient, {"W", scene_.weight_gradient}}};
    const auto& [name, seconds] = kinds.at(action.kind);
    double& now = now_[Cast(rank)];
    const double began = now;
    expecting_[Cast(rank)] = began;  // the next message's receive is posted beside it
    now += seconds + Extra(rank, name, &action);
    timelines_[Cast(rank)].ops.push_back(
        {step_, static_cast<std::int64_t>(position), action, enqueued, began, began, now, -1, -1});
  }

  void Receive(std::int64_t rank, const Action& action, bool backward, std::int64_t from, double post) {
    double& now = now_[Cast(rank)];
    const double arrived = post + scene_.latency, posted = std::min(now, expecting_[Cast(rank)]);
    TimelineMessage message{step_,
                            false,
                            backward,
                            RankAt(Home(from, action.micro_batch), rank),
                            from,
                            action.stage,
                            action.micro_batch,
                            1024,
                            posted,
                            std::max(posted, arrived),
                            {}};
    if (arrived > now) message.wait = protocol::Interval{now, arrived};
    now = std::max(now, arrived);
    timelines_[Cast(rank)].messages.push_back(message);
  }

  void Send(std::int64_t rank, const Action& action, bool backward, std::int64_t to) {
    Span(rank, "send", scene_.send + Extra(rank, "send", &action));
    const double now = now_[Cast(rank)];
    sent_[{to, action.micro_batch, backward, Column(rank)}] = now;
    timelines_[Cast(rank)].messages.push_back({step_,
                                               true,
                                               backward,
                                               RankAt(Home(to, action.micro_batch), rank),
                                               action.stage,
                                               to,
                                               action.micro_batch,
                                               1024,
                                               now,
                                               now + scene_.latency,
                                               {}});
  }

  void Meet(const std::string& group, const std::string& operation, double seconds) {
    std::map<std::vector<std::int64_t>, double> last;
    for (std::int64_t rank = 0; rank < size(); ++rank) {
      double& latest = last[timelines_[Cast(rank)].clock.groups[group]];
      latest = std::max(latest, now_[Cast(rank)]);
    }
    for (std::int64_t rank = 0; rank < size(); ++rank) {
      Timeline& timeline = timelines_[Cast(rank)];
      double& now = now_[Cast(rank)];
      const double ended = last[timeline.clock.groups[group]] + seconds;
      timeline.collectives.push_back(
          {step_, group, step_ - 1, operation, 1024, now, ended, protocol::Interval{now, ended}});
      now = ended;
    }
  }

  const Scene& scene_;
  protocol::Schedule schedule_;
  std::vector<Timeline> timelines_;
  std::vector<double> now_;
  std::vector<double> expecting_;  // when the receive of each rank's next message is posted
  std::int64_t step_ = 0;
  std::map<Key, double> sent_;
};

}  // namespace

std::vector<Timeline> Scene::Timelines() const { return Player(*this).Play(); }

Run Scene::Joined() const { return Join("scene", plan, schedule::Generate(plan), Timelines()); }

Scene SceneOf(const std::string& plan) {
  Scene scene;
  scene.plan = protocol::ParsePlan(plan);
  return scene;
}

}  // namespace lockstep::stalls
