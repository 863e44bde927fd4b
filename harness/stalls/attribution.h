// Every second of every rank and step, charged to one category; waits for others also to the rank and operation that
// caused them.
//
// A receive's wait splits at its peer's post, a collective's at its last arrival: until then it is the others'
// lateness, then transfer. The lateness is split by replaying the run three times (replay.h): operations alone, with
// the same duration on every stage (the schedule's bubble); with each stage's medians and all else that it usually does
// (the difference is imbalance, or transfer, data, host, optimizer where those held the others up); and as it was (the
// difference is straggler, or transfer where bytes were late). Slices of a rank cover its steps without gap or overlap,
// so that categories sum to wall time by construction.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "harness/stalls/model.h"

namespace lockstep::stalls {

enum class Category {
  kCompute,    // operations, without the waits inside them
  kBubble,     // the schedule's own
  kImbalance,  // a stage that takes longer than others, every time
  kStraggler,  // an operation that took longer than it does mostly, or than its replicas do
  kTransfer,   // handing over, and bytes on their way
  kData,
  kHost,       // between operations: launching
  kOptimizer,  // the end of a step, and its synchronisation
  kMemory,     // waiting for memory
  kUnattributed
};
inline constexpr std::size_t kCategories = 10;
std::string_view NameOf(Category category);  // "bubble"; as in --json and metrics
const std::vector<Category>& AllCategories();
bool IsIdle(Category category);  // neither compute, data, host, optimizer nor memory: waits for others

using Seconds = std::array<double, kCategories>;  // by Category

// Who is to blame: an operation of a rank in a step; or what is nobody's work, a message on its way (of the rank that
// it comes to) or a collective once all have come (of the first rank of its group).
struct Operation {
  std::int64_t rank = 0, step = 0;  // step -1: in every step
  std::string name;                 // "F", "B", "I", "W", "send", "data", "host", ...; "transfer", "all_reduce of data"
  std::int64_t stage = -1;          // of F, B, I, W
  std::int64_t peer = -1;           // of "transfer" the rank that it comes from, of "sending" the one that it goes to
  auto operator<=>(const Operation&) const = default;  // NOLINT(modernize-use-nullptr): a false alarm
};
std::string ToString(const Operation& operation);  // "rank 1: F of stage 1"; "link from rank 0 to rank 1"

struct Charge {
  Operation cause;
  double seconds = 0;
};

// A piece of a rank's time. A wait for others comes as one slice a category, the bubble last; their lengths are exact,
// their places within the wait are not.
struct Slice {
  std::int64_t step = 0;
  protocol::Interval time;
  Category category = Category::kUnattributed;
  std::string name;             // "1F2", "send", "wait for 0F2 from rank 0", "all_reduce of data"
  std::vector<Charge> charges;  // of waits but the bubble: largest first; at most a few
};

struct RankStep {
  std::int64_t rank = 0, step = 0;
  double wall = 0;
  Seconds seconds{};
};

// An operation that took longer than its like, and what that did.
struct Cause {
  Operation operation;
  Category category = Category::kStraggler;  // of the waits that it causes
  bool usual = false;                        // in every step: longer than its like on other stages, or at all
  std::int64_t micro_batch = -1;             // that took most of it, where one did
  double excess = 0;                         // seconds that it took longer, a step
  double step_cost = 0;                      // seconds by which it made its step end later
  double others_waited = 0;                  // seconds that all other ranks together waited because of it
};

// How long an operation of a stage usually takes, and how long the same one takes on the usual stage.
struct UsualDuration {
  std::string name;  // "F", "B", "I", "W"
  std::int64_t stage = 0;
  double median = 0, uniform = 0;
};

struct Attribution {
  std::vector<std::vector<Slice>> slices;  // by rank, in time
  std::vector<RankStep> steps;             // by rank, then step
  std::vector<Cause> causes;               // of steps, then of the whole run; of each the costliest first
  std::vector<UsualDuration> usual;        // by name and stage
  std::size_t untangled = 0;               // waits that waited for themselves: recorded wrongly, and left out
};

Attribution Attribute(const Run& run);

// The first step that counts where steps are summed up: warming up is told in the steps and left out of the sums, as
// soon as there are a few others.
std::int64_t FirstCountedStep(const Run& run);

// Of each rank, summed over the steps from `first` on; `step` is how many there were.
std::vector<RankStep> SumOverSteps(const Attribution& attribution, std::int64_t first);

}  // namespace lockstep::stalls
