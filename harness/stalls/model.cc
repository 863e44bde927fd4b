#include "harness/stalls/model.h"

#include <algorithm>
#include <limits>
#include <map>
#include <tuple>

#include "harness/protocol/bad_input.h"
#include "harness/protocol/evidence.h"
#include "harness/stalls/clocks.h"

namespace lockstep::stalls {
namespace {

using protocol::BadInput;
using protocol::Timeline;
using protocol::TimelineCollective;
using protocol::TimelineMessage;

std::size_t Cast(std::int64_t value) { return static_cast<std::size_t>(value); }

class Joiner {
 public:
  explicit Joiner(Run* run) : run_(*run) {}

  void FindSteps() {
    run_.first_step = 1;
    run_.last_step = std::numeric_limits<std::int64_t>::max();
    for (const Timeline& rank : run_.ranks) {
      run_.first_step = std::max(run_.first_step, rank.clock.first_step);
      run_.last_step = std::min(run_.last_step, rank.clock.last_step);
    }
    if (run_.last_step < run_.first_step)
      throw BadInput(run_.name, "has no step that all ranks hold in their timelines");
    for (const Timeline& rank : run_.ranks) {
      std::vector<bool> found(Cast(run_.last_step - run_.first_step + 1), false);
      for (const auto& step : rank.steps) {
        if (Within(step.step)) found[Cast(step.step - run_.first_step)] = true;
      }
      const auto missing = std::find(found.begin(), found.end(), false);
      if (missing == found.end()) continue;
      throw BadInput(run_.name, "rank " + std::to_string(rank.clock.rank) + " has no step " +
                                    std::to_string(run_.first_step + (missing - found.begin())) + " in its timeline");
    }
  }

  void MatchMessages() {
    std::map<MessageKey, std::size_t> receives;
    ForEachMessage([&](std::int64_t rank, std::size_t index, const TimelineMessage& event) {
      if (event.send) return;
      if (!receives.emplace(KeyOf(event, event.peer, rank), index).second) Doubt(rank, event, "is there twice");
    });
    ForEachMessage([&](std::int64_t rank, std::size_t index, const TimelineMessage& event) {
      if (!event.send) return;
      const auto receive = receives.find(KeyOf(event, rank, event.peer));
      if (receive == receives.end()) return Doubt(rank, event, "was received by nobody");
      run_.messages.push_back({event.step, event.backward, event.source_stage, event.target_stage, event.micro_batch,
                               event.bytes, rank, event.peer, index, receive->second});
      receives.erase(receive);
    });
    for (const auto& [key, index] : receives) {
      const std::int64_t rank = std::get<1>(key);
      Doubt(rank, run_.ranks[Cast(rank)].messages[index], "was sent by nobody");
    }
    std::sort(run_.messages.begin(), run_.messages.end(),
              [this](const Message& a, const Message& b) { return run_.SendOf(a).posted < run_.SendOf(b).posted; });
  }

  void MatchCollectives() {
    std::map<std::tuple<std::string, std::vector<std::int64_t>, std::int64_t>, Collective> all;
    for (std::int64_t rank = 0; rank < std::ssize(run_.ranks); ++rank) {
      const Timeline& timeline = run_.ranks[Cast(rank)];
      for (std::size_t index = 0; index < timeline.collectives.size(); ++index) {
        const TimelineCollective& event = timeline.collectives[index];
        if (!Within(event.step)) continue;
        const auto group = timeline.clock.groups.find(event.group);
        const bool known = group != timeline.clock.groups.end();
        const auto members = known ? group->second : std::vector<std::int64_t>{};
        Collective& collective = all[{event.group, members, event.number}];
        collective.step = event.step;
        collective.group = event.group;
        collective.operation = event.operation;
        collective.number = event.number;
        collective.bytes = std::max(collective.bytes, event.bytes);
        collective.members.push_back({rank, index});
      }
    }
    for (auto& [key, collective] : all) Keep(std::get<1>(key).size(), std::move(collective));
  }

  // Lists are long where everything is missing: one sentence a kind is enough.
  void TellDoubts() {
    for (const auto& [what, first] : doubts_) {
      run_.doubts.push_back(first.second == 1 ? first.first
                                              : first.first + ", and " + std::to_string(first.second - 1) + " more");
    }
  }

 private:
  using MessageKey =
      std::tuple<std::int64_t, std::int64_t, std::int64_t, std::int64_t, std::int64_t, std::int64_t, bool>;

  bool Within(std::int64_t step) const { return step >= run_.first_step && step <= run_.last_step; }

  static MessageKey KeyOf(const TimelineMessage& event, std::int64_t sender, std::int64_t receiver) {
    return {sender, receiver, event.step, event.source_stage, event.target_stage, event.micro_batch, event.backward};
  }

  template <typename Do>
  void ForEachMessage(const Do& act) {
    for (std::int64_t rank = 0; rank < std::ssize(run_.ranks); ++rank) {
      const auto& messages = run_.ranks[Cast(rank)].messages;
      for (std::size_t index = 0; index < messages.size(); ++index) {
        if (Within(messages[index].step)) act(rank, index, messages[index]);
      }
    }
  }

  void Keep(std::size_t group_size, Collective collective) {
    const std::string words = collective.operation + " " + std::to_string(collective.number) + " of group '" +
                              collective.group + "' in step " + std::to_string(collective.step);
    if (group_size == 0) return Doubt("group", words + " is of a group that its rank's clock doesn't name");
    if (collective.members.size() != group_size) {
      return Doubt("partial", words + " is in the timelines of " + std::to_string(collective.members.size()) + " of " +
                                  std::to_string(group_size) + " ranks");
    }
    run_.collectives.push_back(std::move(collective));
  }

  void Doubt(std::int64_t rank, const TimelineMessage& event, const std::string& what) {
    Doubt(what, std::string(event.backward ? "gradient" : "activation") + " of micro-batch " +
                    std::to_string(event.micro_batch) + ", stage " + std::to_string(event.source_stage) + " to " +
                    std::to_string(event.target_stage) + ", step " + std::to_string(event.step) + ", which rank " +
                    std::to_string(rank) + (event.send ? " sent to rank " : " received from rank ") +
                    std::to_string(event.peer) + ", " + what);
  }
  void Doubt(const std::string& kind, const std::string& sentence) {
    auto& [first, count] = doubts_[kind];
    if (++count == 1) first = sentence;
  }

  Run& run_;
  std::map<std::string, std::pair<std::string, std::int64_t>> doubts_;
};

}  // namespace

const TimelineMessage& Run::SendOf(const Message& message) const {
  return ranks[Cast(message.sender)].messages[message.send_index];
}
const TimelineMessage& Run::ReceiveOf(const Message& message) const {
  return ranks[Cast(message.receiver)].messages[message.receive_index];
}
const TimelineCollective& Run::At(const Arrival& arrival) const {
  return ranks[Cast(arrival.rank)].collectives[arrival.index];
}

Run Join(const std::string& name, const protocol::Plan& plan, const protocol::Schedule& schedule,
         std::vector<Timeline> timelines) {
  if (std::ssize(timelines) != plan.WorldSize()) {
    throw BadInput(name, "has timelines of " + std::to_string(timelines.size()) + " ranks",
                   "expected those of all " + std::to_string(plan.WorldSize()));
  }
  std::sort(timelines.begin(), timelines.end(),
            [](const Timeline& a, const Timeline& b) { return a.clock.rank < b.clock.rank; });
  Run run;
  run.name = name;
  run.plan = plan;
  run.schedule = schedule;
  run.ranks = std::move(timelines);
  for (std::size_t rank = 0; rank < run.ranks.size(); ++rank) {
    const auto& clock = run.ranks[rank].clock;
    if (clock.rank != static_cast<std::int64_t>(rank)) {
      throw BadInput(name, "has two timelines of rank " + std::to_string(clock.rank) + ", or none of rank " +
                               std::to_string(rank));
    }
    run.clocks.push_back({clock.uncertainty_seconds, 0});
  }
  Joiner joiner(&run);
  joiner.FindSteps();
  joiner.MatchMessages();
  joiner.MatchCollectives();
  joiner.TellDoubts();
  HoldToCausality(&run);
  return run;
}

Run ReadRun(const std::filesystem::path& request_folder) {
  const protocol::Request request = protocol::ReadRequest(request_folder);
  return Join(request.id, request.plan, request.schedule, protocol::ReadTimelines(request_folder, request));
}

}  // namespace lockstep::stalls
