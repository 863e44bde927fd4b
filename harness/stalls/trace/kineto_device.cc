#include "harness/stalls/trace/kineto_device.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <unordered_map>

#include "harness/stalls/trace/busy.h"
#include "harness/stalls/trace/kineto_names.h"

namespace lockstep::stalls {
namespace {

bool IsKernel(std::string_view category) {
  return category == "kernel" || category == "gpu_memcpy" || category == "gpu_memset";
}

struct Kernel {
  TraceTime time;
  std::int64_t launched = 0;  // on the host
  const TraceSlice* slice = nullptr;
  bool collective = false;
};

class Device {
 public:
  Device(const ChromeTrace& trace, std::int64_t process, TracedRank* rank) : trace_(trace), rank_(*rank) {
    std::unordered_map<std::int64_t, std::int64_t> launches;  // correlation -> begin
    for (const TraceSlice& slice : trace.slices) {
      const std::string_view category = trace.Category(slice);
      const bool launch = category == "cuda_runtime" || category == "cuda_driver";
      if (launch && slice.process == process && slice.correlation >= 0)
        launches.emplace(slice.correlation, slice.began);
    }
    for (const TraceSlice& slice : trace.slices) {
      if (!IsKernel(trace.Category(slice))) continue;
      const auto launch = launches.find(slice.correlation);
      if (launch == launches.end()) continue;  // of before the recording
      const bool collective = slice.collective >= 0 || trace.Name(slice).starts_with("nccl");
      kernels_.push_back({{slice.began, slice.ended}, launch->second, &slice, collective});
    }
    std::stable_sort(kernels_.begin(), kernels_.end(),
                     [](const Kernel& a, const Kernel& b) { return a.launched < b.launched; });
    std::copy_if(kernels_.begin(), kernels_.end(), std::back_inserter(computing_),
                 [](const Kernel& kernel) { return !kernel.collective; });
    std::stable_sort(computing_.begin(), computing_.end(),
                     [](const Kernel& a, const Kernel& b) { return a.time.began < b.time.began; });
  }

  void Move() {
    rank_.device = true;
    const std::vector<TracedStep> host_steps = rank_.steps;
    MoveRegions();
    MoveSteps();
    ReadCollectives(host_steps);
  }

 private:
  template <typename Do>
  void ForEachLaunchedIn(const TraceTime& host, const Do& act) const {
    const auto begin = std::partition_point(kernels_.begin(), kernels_.end(),
                                            [&](const Kernel& kernel) { return kernel.launched < host.began; });
    for (auto each = begin; each != kernels_.end() && each->launched < host.ended; ++each) act(*each);
  }

  void MoveRegions() {
    std::int64_t end = 0;
    for (TracedRegion& region : rank_.regions) {
      if (region.kind == RegionKind::kData) continue;  // stays beside what the device does
      std::optional<TraceTime> hull;
      ForEachLaunchedIn(region.time, [&](const Kernel& kernel) {
        if (kernel.collective) return;
        if (!hull) hull = kernel.time;
        hull->began = std::min(hull->began, kernel.time.began);
        hull->ended = std::max(hull->ended, kernel.time.ended);
      });
      if (!hull) continue;
      region.time = {std::max(hull->began, end), std::max(hull->ended, end)};
      end = region.time.ended;
    }
  }

  void MoveSteps() {
    std::int64_t end = 0;  // of the device's work so far
    for (std::size_t i = 0; i < rank_.steps.size(); ++i) {
      TraceTime& time = rank_.steps[i].time;
      const TraceTime host = time;
      time.began = std::max(host.began, end);
      ForEachLaunchedIn(host, [&](const Kernel& kernel) { end = std::max(end, kernel.time.ended); });
      time.ended = std::max({host.ended, end, time.began});
      end = time.ended;
    }
  }

  void ReadCollectives(const std::vector<TracedStep>& host_steps) {
    std::vector<TraceTime> times;
    for (const Kernel& kernel : computing_) times.push_back(kernel.time);
    const Busy busy(std::move(times));
    rank_.collectives.clear();
    std::int64_t waited_until = 0;
    for (const TracedStep& step : host_steps) {
      ForEachLaunchedIn(step.time, [&](const Kernel& kernel) {
        if (!kernel.collective) return;
        TracedCollective collective = CollectiveOf(kernel, step.number);
        const auto idle = busy.LongestIdle(std::max(kernel.time.began, waited_until), kernel.time.ended);
        if (idle && NextWasLaunchedBefore(idle->ended)) {
          collective.wait = idle;
          waited_until = idle->ended;
        }
        rank_.collectives.push_back(std::move(collective));
      });
    }
  }

  TracedCollective CollectiveOf(const Kernel& kernel, std::int64_t step) const {
    TracedCollective collective;
    collective.step = step;
    collective.time = kernel.time;
    collective.operation = CollectiveNameOf(trace_.Name(*kernel.slice));
    if (kernel.slice->collective < 0) return collective;
    const TraceCollectiveArguments& said = trace_.collectives[static_cast<std::size_t>(kernel.slice->collective)];
    collective.operation = CollectiveNameOf(said.name);
    collective.group = said.group;
    collective.ranks = said.ranks;
    return collective;
  }

  // Whether the first kernel to start computing after `moment` had been asked for by then.
  bool NextWasLaunchedBefore(std::int64_t moment) const {
    const auto next = std::partition_point(computing_.begin(), computing_.end(),
                                           [&](const Kernel& kernel) { return kernel.time.began < moment; });
    return next != computing_.end() && next->launched < moment;
  }

  const ChromeTrace& trace_;
  TracedRank& rank_;
  std::vector<Kernel> kernels_;    // by launch
  std::vector<Kernel> computing_;  // without collectives, by begin
};

}  // namespace

bool HasKernels(const ChromeTrace& trace) {
  return std::any_of(trace.slices.begin(), trace.slices.end(),
                     [&](const TraceSlice& slice) { return trace.Category(slice) == "kernel"; });
}

void MoveToDevice(const ChromeTrace& trace, std::int64_t process, TracedRank* rank) {
  Device(trace, process, rank).Move();
}

}  // namespace lockstep::stalls
