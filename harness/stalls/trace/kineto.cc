#include "harness/stalls/trace/kineto.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <map>
#include <set>
#include <tuple>

#include "harness/protocol/bad_input.h"
#include "harness/stalls/trace/chrome_reader.h"
#include "harness/stalls/trace/kineto_clocks.h"

namespace lockstep::stalls {
namespace {

using protocol::ActionKind;
using protocol::BadInput;

constexpr std::int64_t kCollectivesOfAStep = 1'000'000;       // room for their numbers
constexpr std::int64_t kMostApart = 100'000'000'000'000'000;  // nanoseconds between two clocks
constexpr const char* kWorld = "world";

// By rank: as the files say, or in the order in which they were given.
std::vector<TracedRank> InOrder(std::vector<TracedRank> ranks, std::vector<std::string>* doubts) {
  const auto says = [](const TracedRank& each) { return each.rank.has_value(); };
  if (std::none_of(ranks.begin(), ranks.end(), says)) {
    if (ranks.size() > 1) {
      doubts->push_back("the traces don't say whose they are: taken as ranks 0, 1, ... in the order given");
    }
    return ranks;
  }
  std::map<std::int64_t, TracedRank> by_rank;
  std::int64_t world = std::ssize(ranks);
  for (TracedRank& each : ranks) {
    if (!says(each)) throw BadInput(each.file, "does not say its rank, and others do", "expected distributedInfo.rank");
    world = std::max(world, each.world_size.value_or(0));
    const auto twice = by_rank.find(*each.rank);
    if (twice != by_rank.end()) {
      throw BadInput(each.file, fmt::format("is of rank {}, as {} is", *each.rank, twice->second.file));
    }
    by_rank.emplace(*each.rank, std::move(each));
  }
  for (std::int64_t rank = 0; rank < world; ++rank) {
    if (by_rank.contains(rank)) continue;
    throw BadInput(by_rank.begin()->second.file,
                   fmt::format("is of a run of {} ranks, and no trace of rank {} was given", world, rank),
                   "expected one file of each rank");
  }
  std::vector<TracedRank> ordered;
  for (auto& [rank, each] : by_rank) ordered.push_back(std::move(each));
  return ordered;
}

class Importer {
 public:
  Importer(const std::string& name, std::vector<TracedRank> ranks) : name_(name), ranks_(std::move(ranks)) {}

  Run Import() {
    FindSteps();
    NumberCollectives();
    clocks_ = AlignTraces(ranks_, members_);
    for (std::size_t rank = 0; rank < ranks_.size(); ++rank) {
      if (std::abs(clocks_[rank].offset) <= kMostApart) continue;
      throw BadInput(ranks_[rank].file, "has a clock that is years from rank 0's", "expected traces of one run");
    }
    zero_ = ranks_[0].steps.front().time.began;
    std::int64_t micro_batches = 1;
    for (const TracedRank& rank : ranks_) {
      for (const TracedRegion& region : rank.regions) micro_batches = std::max(micro_batches, region.micro_batch + 1);
    }
    protocol::Plan plan;
    plan.data = std::ssize(ranks_);
    plan.micro_batches = micro_batches;
    protocol::Schedule schedule{"traced", 1, micro_batches, {{}}};
    for (std::int64_t micro_batch = 0; micro_batch < micro_batches; ++micro_batch) {
      schedule.ranks[0].push_back({0, ActionKind::kForward, micro_batch});
      schedule.ranks[0].push_back({0, ActionKind::kBackward, micro_batch});
    }
    std::vector<protocol::Timeline> timelines;
    for (std::size_t rank = 0; rank < ranks_.size(); ++rank) timelines.push_back(TimelineOf(rank));
    Run run = Join(name_, plan, schedule, std::move(timelines));
    AddDoubts(run.doubts);
    return run;
  }

 private:
  // Those that every rank holds, in one run of numbers.
  void FindSteps() {
    first_ = 0;
    last_ = std::numeric_limits<std::int64_t>::max();
    for (const TracedRank& rank : ranks_) {
      first_ = std::max(first_, rank.steps.front().number);
      last_ = std::min(last_, rank.steps.back().number);
    }
    if (last_ < first_)
      throw BadInput(name_, "the traces have no step in common", "expected the same ProfilerStep#N in each");
    for (TracedRank& rank : ranks_) {
      std::erase_if(rank.steps, [&](const TracedStep& step) { return step.number < first_ || step.number > last_; });
      if (std::ssize(rank.steps) == last_ - first_ + 1) continue;
      throw BadInput(rank.file, fmt::format("lacks a ProfilerStep between #{} and #{}", first_, last_),
                     "expected the same steps in each trace");
    }
  }

  struct GroupKey {
    std::string name;
    std::vector<std::int64_t> ranks;
    bool operator<(const GroupKey& other) const { return std::tie(name, ranks) < std::tie(other.name, other.ranks); }
  };

  GroupKey KeyOf(const TracedCollective& collective) const {
    std::vector<std::int64_t> everyone;
    for (std::int64_t rank = 0; rank < std::ssize(ranks_); ++rank) everyone.push_back(rank);
    if (collective.ranks == everyone || (collective.ranks.empty() && collective.group.empty()))
      return {kWorld, everyone};
    return {"group " + collective.group, collective.ranks};
  }

  // What is the same collective on several ranks: its group's n-th of the step, when all agree on what it is.
  void NumberCollectives() {
    std::map<std::tuple<std::int64_t, GroupKey>, std::map<std::size_t, std::vector<std::size_t>>> lists;
    for (std::size_t rank = 0; rank < ranks_.size(); ++rank) {
      for (std::size_t i = 0; i < ranks_[rank].collectives.size(); ++i) {
        const TracedCollective& each = ranks_[rank].collectives[i];
        if (each.step >= first_ && each.step <= last_) lists[{each.step, KeyOf(each)}][rank].push_back(i);
      }
    }
    numbers_.resize(ranks_.size());
    std::set<std::string> told;
    for (const auto& [key, by_rank] : lists) {
      const auto& [step, group] = key;
      if (group.ranks.size() < 2) continue;
      if (!Agree(by_rank)) {
        if (told.insert(group.name).second) {
          doubts_.push_back(
              fmt::format("ranks of {} differ in the collectives of step {}: they are not held against each other",
                          group.name, step + 1));
        }
        continue;
      }
      for (std::size_t place = 0; place < by_rank.begin()->second.size(); ++place) {
        auto& members = members_.emplace_back();
        for (const auto& [rank, indices] : by_rank) {
          members.push_back({rank, indices[place]});
          numbers_[rank][indices[place]] = (step - first_) * kCollectivesOfAStep + static_cast<std::int64_t>(place);
        }
        if (members.size() != group.ranks.size()) members_.pop_back();  // Join tells of it
      }
    }
  }

  bool Agree(const std::map<std::size_t, std::vector<std::size_t>>& by_rank) const {
    const auto words = [&](const auto& entry) {
      std::vector<std::string> operations;
      for (const std::size_t index : entry.second)
        operations.push_back(ranks_[entry.first].collectives[index].operation);
      return operations;
    };
    return std::all_of(by_rank.begin(), by_rank.end(),
                       [&](const auto& each) { return words(each) == words(*by_rank.begin()); });
  }

  double Seconds(std::size_t rank, std::int64_t moment) const {
    return static_cast<double>(moment + clocks_[rank].offset - zero_) * 1e-9;
  }
  protocol::Interval At(std::size_t rank, const TraceTime& time) const {
    return {Seconds(rank, time.began), Seconds(rank, time.ended)};
  }

  protocol::Timeline TimelineOf(std::size_t rank) const {
    const TracedRank& traced = ranks_[rank];
    protocol::Timeline timeline;
    timeline.clock.rank = static_cast<std::int64_t>(rank);
    timeline.clock.offset_seconds = static_cast<double>(clocks_[rank].offset) * 1e-9;
    timeline.clock.uncertainty_seconds = static_cast<double>(clocks_[rank].uncertainty) * 1e-9;
    timeline.clock.unix_seconds = static_cast<double>(zero_) * 1e-9;
    timeline.clock.first_step = first_ + 1;
    timeline.clock.last_step = last_ + 1;
    for (const TracedStep& step : traced.steps) timeline.steps.push_back({step.number + 1, At(rank, step.time)});
    for (const TracedRegion& region : traced.regions) AddRegion(rank, region, timeline);
    for (std::size_t i = 0; i < traced.collectives.size(); ++i) {
      const auto number = numbers_[rank].find(i);
      if (number == numbers_[rank].end()) continue;
      const TracedCollective& each = traced.collectives[i];
      const GroupKey group = KeyOf(each);
      timeline.clock.groups[group.name] = group.ranks;
      protocol::TimelineCollective collective{each.step + 1, group.name, number->second, each.operation, 0, 0, 0, {}};
      collective.posted = Seconds(rank, each.time.began);
      collective.ended = Seconds(rank, each.time.ended);
      if (each.wait) collective.wait = At(rank, *each.wait);
      timeline.collectives.push_back(std::move(collective));
    }
    return timeline;
  }

  void AddRegion(std::size_t rank, const TracedRegion& region, protocol::Timeline& timeline) const {
    const protocol::Interval time = At(rank, region.time);
    switch (region.kind) {
      case RegionKind::kForward:
      case RegionKind::kBackward: {
        const bool forward = region.kind == RegionKind::kForward;
        protocol::TimelineOp op;
        op.step = region.step + 1;
        op.position = 2 * region.micro_batch + (forward ? 0 : 1);
        op.action = {0, forward ? ActionKind::kForward : ActionKind::kBackward, region.micro_batch};
        op.enqueued = op.ready = op.started = time.began;
        op.ended = time.ended;
        timeline.ops.push_back(op);
        return;
      }
      case RegionKind::kOptimizer:
        return timeline.spans.push_back({region.step + 1, "optimizer", time});
      case RegionKind::kData:
        return timeline.spans.push_back({region.step + 1, "data", time});
      case RegionKind::kReduction:
        return timeline.spans.push_back({region.step + 1, "reduction", time});
    }
  }

  void AddDoubts(std::vector<std::string>& doubts) const {
    std::int64_t uncertainty = 0;
    for (std::size_t rank = 0; rank < ranks_.size(); ++rank) {
      uncertainty = std::max(uncertainty, clocks_[rank].uncertainty);
      for (const std::string& doubt : ranks_[rank].doubts) doubts.push_back(fmt::format("rank {}: {}", rank, doubt));
      if (!clocks_[rank].known) {
        doubts.push_back(fmt::format("no collective ties rank {}'s clock to rank 0's: it is believed as it is", rank));
      }
    }
    doubts.insert(doubts.end(), doubts_.begin(), doubts_.end());
    if (uncertainty > 0) {
      doubts.push_back(fmt::format("clocks were aligned at the ends of {} collectives, to within {:.3g} ms",
                                   members_.size(), static_cast<double>(uncertainty) * 1e-6));
    }
  }

  const std::string name_;
  std::vector<TracedRank> ranks_;
  std::int64_t first_ = 0, last_ = 0, zero_ = 0;              // ProfilerStep numbers
  std::vector<std::map<std::size_t, std::int64_t>> numbers_;  // [rank]: index of a collective -> its number
  std::vector<std::vector<TraceMember>> members_;             // of collectives
  std::vector<TraceClock> clocks_;
  std::vector<std::string> doubts_;
};

}  // namespace

Run RunOfTraces(const std::string& name, std::vector<TracedRank> ranks) {
  std::vector<std::string> doubts;
  ranks = InOrder(std::move(ranks), &doubts);
  Run run = Importer(name, std::move(ranks)).Import();
  run.doubts.insert(run.doubts.begin(), doubts.begin(), doubts.end());
  return run;
}

Run ReadTraces(const std::vector<std::filesystem::path>& files) {
  std::vector<TracedRank> ranks;
  std::string name;
  for (const auto& file : files) {
    name += (name.empty() ? "" : ", ") + file.filename().string();
    ranks.push_back(RankOfTrace(ReadChromeTrace(file)));
  }
  if (ranks.empty()) throw BadInput("traces", "none was given", "expected one file of each rank");
  return RunOfTraces(name, std::move(ranks));
}

}  // namespace lockstep::stalls
