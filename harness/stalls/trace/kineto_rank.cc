#include "harness/stalls/trace/kineto_rank.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <deque>
#include <map>
#include <set>
#include <unordered_set>

#include "harness/protocol/bad_input.h"
#include "harness/stalls/trace/busy.h"
#include "harness/stalls/trace/kineto_device.h"
#include "harness/stalls/trace/kineto_names.h"

namespace lockstep::stalls {
namespace {

enum class Meaning { kNone, kStep, kOptimizer, kData, kDdpForward, kBackward, kCall, kReducer, kBackend };

Meaning MeaningOf(std::string_view name) {
  if (name.starts_with(kBackwardPrefix)) return Meaning::kBackward;
  if (name.starts_with(kStepPrefix)) return Meaning::kStep;
  if (name.starts_with(kOptimizerStepPrefix) || name.starts_with(kZeroGradPrefix)) return Meaning::kOptimizer;
  if (name.starts_with(kDataPrefix)) return Meaning::kData;
  if (name == kDdpForward) return Meaning::kDdpForward;
  if (name.starts_with(kCallPrefix)) return Meaning::kCall;
  if (IsReducer(name)) return Meaning::kReducer;
  return IsBackendWork(name) ? Meaning::kBackend : Meaning::kNone;
}

// The slices of a rank's own threads, by what they mean.
struct HostSlices {
  std::int64_t process = -1, main_thread = -1;
  std::set<std::int64_t> threads;              // the main one and autograd's
  std::vector<const TraceSlice*> operations;   // cpu_op on those, by begin
  std::vector<const TraceSlice*> annotations;  // on the main thread
  std::vector<const TraceSlice*> works;        // of backends, on other threads
  std::vector<Meaning> meanings;               // by name
  Meaning Of(const TraceSlice& slice) const { return meanings[static_cast<std::size_t>(slice.name)]; }
};

TraceTime TimeOf(const TraceSlice& slice) { return {slice.began, slice.ended}; }
bool Within(std::int64_t moment, const TraceTime& time) { return moment >= time.began && moment < time.ended; }

class RankReader {
 public:
  explicit RankReader(const ChromeTrace& trace) : trace_(trace) {
    rank_.file = trace.file;
    rank_.host = trace.host;
    rank_.rank = trace.rank;
    rank_.world_size = trace.world_size;
  }

  TracedRank Read() {
    if (trace_.made_by.starts_with("lockstep")) {
      throw protocol::BadInput(trace_.file, "was written by Lockstep itself",
                               "expected the run's folder: it holds more");
    }
    Sort();
    FindSteps();
    std::vector<TraceTime> times;
    for (const TraceSlice* each : host_.operations) times.push_back(TimeOf(*each));
    for (const TraceSlice* each : host_.annotations) {
      if (IsSpan(*each)) times.push_back(TimeOf(*each));
    }
    busy_ = Busy(std::move(times));
    for (const TracedStep& step : rank_.steps) ReadStep(step);
    ReadCollectives();
    if (HasKernels(trace_)) MoveToDevice(trace_, host_.process, &rank_);
    return std::move(rank_);
  }

 private:
  void Sort() {
    for (const std::string& name : trace_.strings) host_.meanings.push_back(MeaningOf(name));
    FindMainThread();
    for (const TraceSlice& slice : trace_.slices) {
      if (slice.process != host_.process) continue;
      if (host_.Of(slice) == Meaning::kBackward && trace_.Category(slice) == kOperationCategory) {
        host_.threads.insert(slice.thread);
      }
    }
    for (const TraceSlice& slice : trace_.slices) {
      if (slice.process != host_.process) continue;
      const bool own = host_.threads.contains(slice.thread);
      if (own && trace_.Category(slice) == kOperationCategory) host_.operations.push_back(&slice);
      if (trace_.Category(slice) != kAnnotationCategory) continue;
      if (slice.thread == host_.main_thread) host_.annotations.push_back(&slice);
      if (!own && host_.Of(slice) == Meaning::kBackend) host_.works.push_back(&slice);
    }
  }

  // The one that says ProfilerStep, or else Optimizer.step.
  void FindMainThread() {
    for (const Meaning wanted : {Meaning::kStep, Meaning::kOptimizer}) {
      for (const TraceSlice& slice : trace_.slices) {
        if (host_.Of(slice) != wanted || trace_.Category(slice) != kAnnotationCategory) continue;
        host_.process = slice.process;
        host_.main_thread = slice.thread;
        host_.threads.insert(slice.thread);
        return;
      }
    }
    throw protocol::BadInput(trace_.file, "has neither ProfilerStep#N nor Optimizer.step",
                             "expected a trace of torch.profiler over steps (prof.step() after each)");
  }

  void FindSteps() {
    std::set<std::int64_t> seen;
    for (const TraceSlice* each : host_.annotations) {
      if (host_.Of(*each) != Meaning::kStep) continue;
      const std::string_view digits = trace_.Name(*each).substr(kStepPrefix.size());
      std::int64_t number = -1;
      std::from_chars(digits.data(), digits.data() + digits.size(), number);
      if (number < 0 || number > 1'000'000'000'000 || !seen.insert(number).second) continue;
      if (!each->finished) {
        rank_.doubts.push_back(
            fmt::format("step {} was still going on when the recording ended: left out", number + 1));
        continue;
      }
      AddStep(number, TimeOf(*each));
    }
    if (seen.empty()) StepsFromOptimizer();
    if (rank_.steps.empty()) throw protocol::BadInput(trace_.file, "holds no whole step", "expected at least one");
  }

  void StepsFromOptimizer() {
    std::int64_t began = host_.operations.empty() ? 0 : host_.operations.front()->began;
    for (const TraceSlice* each : host_.annotations) {
      if (!trace_.Name(*each).starts_with(kOptimizerStepPrefix) || each->ended <= began) continue;
      AddStep(static_cast<std::int64_t>(rank_.steps.size()), {began, each->ended});
      began = each->ended;
    }
    rank_.doubts.push_back(
        "the profiler was not told of steps (prof.step()): one step is taken from an "
        "Optimizer.step to the next");
  }

  void AddStep(std::int64_t number, TraceTime time) {
    if (!rank_.steps.empty()) {  // one after the other, whatever the file says
      if (number <= rank_.steps.back().number) return;
      time.began = std::max(time.began, rank_.steps.back().time.ended);
      time.ended = std::max(time.ended, time.began);
    }
    rank_.steps.push_back({number, time});
  }

  bool IsSpan(const TraceSlice& slice) const {
    return host_.Of(slice) == Meaning::kOptimizer || host_.Of(slice) == Meaning::kData;
  }

  template <typename Do>
  static void ForEachWithin(const std::vector<const TraceSlice*>& slices, const TraceTime& time, const Do& act) {
    const auto begin = std::partition_point(slices.begin(), slices.end(),
                                            [&](const TraceSlice* each) { return each->began < time.began; });
    for (auto each = begin; each != slices.end() && (*each)->began < time.ended; ++each) act(**each);
  }

  void ReadStep(const TracedStep& step) {
    std::vector<TracedRegion> spans;
    std::vector<TraceTime> modules;  // DistributedDataParallel.forward
    ForEachWithin(host_.annotations, step.time, [&](const TraceSlice& slice) {
      if (host_.Of(slice) == Meaning::kDdpForward) modules.push_back(TimeOf(slice));
      if (!IsSpan(slice) || (!spans.empty() && slice.ended <= spans.back().time.ended)) return;  // one inside another
      const RegionKind kind = host_.Of(slice) == Meaning::kData ? RegionKind::kData : RegionKind::kOptimizer;
      spans.push_back({kind, step.number, -1, TimeOf(slice)});
    });
    std::unordered_set<std::int64_t> differentiated;
    ForEachWithin(host_.operations, step.time, [&](const TraceSlice& slice) {
      if (host_.Of(slice) == Meaning::kBackward && slice.sequence >= 0) differentiated.insert(slice.sequence);
    });
    std::vector<TracedRegion> computed;
    std::map<std::int64_t, std::int64_t> covered;  // thread -> end of its last outermost operation
    std::size_t next_span = 0;
    ForEachWithin(host_.operations, step.time, [&](const TraceSlice& slice) {
      const auto [end, first] = covered.emplace(slice.thread, slice.ended);
      if (!first && slice.began < end->second) return;
      end->second = slice.ended;
      while (next_span < spans.size() && spans[next_span].time.ended <= slice.began) ++next_span;
      if (next_span < spans.size() && Within(slice.began, spans[next_span].time)) return;
      const Meaning meaning = host_.Of(slice);
      if (meaning == Meaning::kBackward) {
        Extend(RegionKind::kBackward, step.number, TimeOf(slice), computed);
      } else if (meaning == Meaning::kReducer || meaning == Meaning::kCall) {
        spans_after_.push_back({RegionKind::kReduction, step.number, -1, TimeOf(slice)});
      } else if (slice.thread == host_.main_thread && differentiated.contains(slice.sequence)) {
        TraceTime time = TimeOf(slice);
        for (const TraceTime& module : modules) {
          if (Within(slice.began, module)) time = module;
        }
        Extend(RegionKind::kForward, step.number, time, computed);
      }
    });
    spans.insert(spans.end(), spans_after_.begin(), spans_after_.end());
    spans_after_.clear();
    Merge(step, std::move(computed), std::move(spans));
  }

  // Forwards and backwards take turns: what is like the last belongs to it.
  static void Extend(RegionKind kind, std::int64_t step, const TraceTime& time, std::vector<TracedRegion>& computed) {
    if (!computed.empty() && computed.back().kind == kind) {
      computed.back().time.began = std::min(computed.back().time.began, time.began);
      computed.back().time.ended = std::max(computed.back().time.ended, time.ended);
      return;
    }
    const auto backwards = std::count_if(computed.begin(), computed.end(),
                                         [](const TracedRegion& each) { return each.kind == RegionKind::kBackward; });
    computed.push_back({kind, step, backwards, time});
  }

  // Computation first; of a span what lies outside of it.
  void Merge(const TracedStep& step, std::vector<TracedRegion> computed, std::vector<TracedRegion> spans) {
    std::vector<TracedRegion> all = std::move(computed);
    const std::size_t operations = all.size();
    for (TracedRegion& span : spans) {
      for (std::size_t i = 0; i < operations; ++i) {
        const TraceTime& taken = all[i].time;
        if (span.time.began >= taken.began)
          span.time.began = std::max(span.time.began, std::min(taken.ended, span.time.ended));
        else
          span.time.ended = std::min(span.time.ended, taken.began);
      }
      if (span.time.length() > 0) all.push_back(span);
    }
    std::stable_sort(all.begin(), all.end(),
                     [](const TracedRegion& a, const TracedRegion& b) { return a.time.began < b.time.began; });
    std::int64_t end = step.time.began;
    for (TracedRegion& region : all) {
      region.time.began = std::clamp(region.time.began, end, step.time.ended);
      region.time.ended = std::clamp(region.time.ended, region.time.began, step.time.ended);
      end = region.time.ended;
      rank_.regions.push_back(region);
    }
  }

  const TracedStep* StepAt(std::int64_t moment) const {
    const auto after = std::partition_point(rank_.steps.begin(), rank_.steps.end(),
                                            [&](const TracedStep& step) { return step.time.began <= moment; });
    if (after == rank_.steps.begin() || !Within(moment, std::prev(after)->time)) return nullptr;
    return &*std::prev(after);
  }

  // Each call with the work that its backend's thread did for it: in the order of calls, kind by kind.
  void ReadCollectives() {
    std::map<std::string, std::deque<const TraceSlice*>> works;
    for (const TraceSlice* work : host_.works) works[CollectiveNameOf(trace_.Name(*work))].push_back(work);
    std::int64_t messages = 0;
    for (const TraceSlice* call : host_.operations) {
      if (host_.Of(*call) != Meaning::kCall) continue;
      const std::string operation = CollectiveNameOf(trace_.Name(*call));
      auto& queue = works[operation];
      while (!queue.empty() && queue.front()->began < call->began) queue.pop_front();  // of before the recording
      const TraceSlice* work = queue.empty() ? nullptr : queue.front();
      if (work != nullptr) queue.pop_front();
      const TracedStep* step = StepAt(call->began);
      if (step == nullptr) continue;
      if (IsPointToPoint(operation)) {
        ++messages;
        continue;
      }
      AddCollective(*step, *call, work, operation);
    }
    if (messages > 0) {
      rank_.doubts.push_back(
          fmt::format("{} messages between ranks are not read: their waits are the host's", messages));
    }
    FindWaits();
  }

  void AddCollective(const TracedStep& step, const TraceSlice& call, const TraceSlice* work,
                     const std::string& operation) {
    TracedCollective collective;
    collective.step = step.number;
    collective.operation = operation;
    collective.time = {call.began, std::max(call.ended, work == nullptr ? call.ended : work->ended)};
    if (work != nullptr && !work->finished) {
      collective.time.ended = std::clamp(WentOn(step, call), collective.time.began, collective.time.ended);
      rank_.doubts.push_back(fmt::format("the end of {} in step {} was not recorded: taken as when the rank went on",
                                         operation, step.number + 1));
    }
    rank_.collectives.push_back(std::move(collective));
  }

  // The first thing after a call that can only follow its end: gradients' use, or the end of the step.
  std::int64_t WentOn(const TracedStep& step, const TraceSlice& call) const {
    for (const TracedRegion& region : rank_.regions) {
      const bool after = region.kind == RegionKind::kReduction || region.kind == RegionKind::kOptimizer;
      if (region.step == step.number && after && region.time.began >= call.ended) return region.time.began;
    }
    return step.time.ended;
  }

  void FindWaits() {
    std::vector<TracedCollective*> by_end;
    for (TracedCollective& each : rank_.collectives) by_end.push_back(&each);
    std::stable_sort(by_end.begin(), by_end.end(),
                     [](const auto* a, const auto* b) { return a->time.ended < b->time.ended; });
    std::int64_t waited_until = 0;
    for (TracedCollective* each : by_end) {
      const auto idle = busy_.LongestIdle(std::max(each->time.began, waited_until), each->time.ended);
      if (!idle) continue;
      each->wait = idle;
      each->time.ended = idle->ended;  // the rank had gone on before its backend's thread said so
      waited_until = idle->ended;
    }
  }

  const ChromeTrace& trace_;
  TracedRank rank_;
  HostSlices host_;
  Busy busy_{{}};
  std::vector<TracedRegion> spans_after_;
};

}  // namespace

TracedRank RankOfTrace(const ChromeTrace& trace) { return RankReader(trace).Read(); }

}  // namespace lockstep::stalls
