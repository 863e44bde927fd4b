// What one rank did, out of a trace of PyTorch's profiler (Kineto): its steps, forwards and backwards, spans and
// collectives, and what it stood still for.
//
// Steps are ProfilerStep#N, or what lies between two ends of Optimizer.step where the profiler was never told of steps.
// A backward is a run of autograd's evaluate_function; the forward before it is the run of operations that carry the
// sequence numbers which that backward evaluates. So recomputation inside a backward is backward, and operations that
// nothing is differentiated through (metrics, data) are the host's. Waits are not in these traces: a rank stood still
// for a collective while none of its operations was running, up to the collective's end or until it went on shortly
// before (a backend's thread may say so late).
// With kernels of a GPU in the trace, operations, optimizer and waits are the compute stream's (kineto_device.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "harness/stalls/trace/chrome_reader.h"

namespace lockstep::stalls {

struct TraceTime {
  std::int64_t began = 0, ended = 0;  // nanoseconds
  std::int64_t length() const { return ended - began; }
};

struct TracedStep {
  std::int64_t number = 0;  // of ProfilerStep#
  TraceTime time;
};

enum class RegionKind { kForward, kBackward, kOptimizer, kData, kReduction };

struct TracedRegion {
  RegionKind kind = RegionKind::kForward;
  std::int64_t step = 0;
  std::int64_t micro_batch = -1;  // of forward and backward: which of the step, from 0
  TraceTime time;
};

struct TracedCollective {
  std::int64_t step = 0;
  std::string operation;            // "all_reduce"
  std::string group;                // "" where the trace doesn't say
  std::vector<std::int64_t> ranks;  // of the group; empty where the trace doesn't say
  TraceTime time;                   // from the rank's arrival to its end
  std::optional<TraceTime> wait;
};

struct TracedRank {
  std::string file, host;
  std::optional<std::int64_t> rank, world_size;  // as the trace says
  bool device = false;                           // times of operations are a GPU's
  std::vector<TracedStep> steps;
  std::vector<TracedRegion> regions;  // by time; those of one step don't overlap
  std::vector<TracedCollective> collectives;
  std::vector<std::string> doubts;  // sentences
};

// Throws BadInput where the trace holds no step of PyTorch.
TracedRank RankOfTrace(const ChromeTrace& trace);

}  // namespace lockstep::stalls
