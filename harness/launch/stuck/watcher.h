// Watches the ranks of one request by their cursors, and says what holds them up.
//
// Looked at several times a second. Time in which no cursor has moved is counted as the looks see it (a look that comes
// late counts little: the machine may have slept) and, unless want of a core can't be the cause, without what a rank
// waited for one. The waits are explained (diagnose.h) so early that the name stands when it is three median steps or
// 2 s, whichever is more. Trainers without cursors, ranks on other hosts, whose files are seen late, and ranks in a
// debugger are not watched. It reads; nobody is asked, nobody is signalled.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "harness/launch/stuck/scene.h"
#include "harness/protocol/stuck.h"

namespace lockstep::launch::stuck {

// What the launcher knows of a rank.
struct Seen {
  pid_t pid = 0;      // 0: not known
  bool here = false;  // said hello, on this host
  bool dead = false;
  bool done = false;  // with the request
  std::string death, error;
};

class Watcher {
 public:
  using Clock = std::chrono::steady_clock;

  explicit Watcher(std::filesystem::path request) : request_(std::move(request)) {}

  // True where any cursor has moved since the last look.
  bool Look(const std::vector<Seen>& ranks, Clock::time_point now = Clock::now());

  // What holds the run up and will not end by itself; nothing while it may go on.
  const std::optional<protocol::Stuck>& stuck() const { return stuck_; }
  // Who was slow, each time once, in order.
  const std::vector<protocol::Stuck>& slow() const { return slow_; }
  bool slow_now() const { return told_; }  // the last of them still is

  // What the cursors, as they stand now, say of a rank that died or gave up; nothing where there are none.
  std::optional<protocol::Stuck> Explain(const std::vector<Seen>& ranks, std::int64_t rank) const;

 private:
  void Suspect(const std::vector<Seen>& ranks);
  double Limit();
  double StarvedOf(std::int64_t rank) const;  // seconds that it waited for a core since the stillness began
  double Starved() const;                     // the most of any rank
  Scene SceneOf(const std::vector<Seen>& ranks) const;

  std::filesystem::path request_;
  std::vector<protocol::Cursor> cursors_;
  std::vector<pid_t> pids_;
  Clock::time_point last_{};
  double still_ = 0;                       // seconds without a move
  std::vector<double> waited_;             // for a core, by rank, when the stillness began
  std::optional<double> limit_;            // of this stillness
  double next_ = 0;                        // of still_: when to look again
  bool told_ = false;                      // of this stillness, who is slow
  std::optional<protocol::Stuck> before_;  // found at the last look: twice the same is believed
  std::optional<protocol::Stuck> stuck_;
  std::vector<protocol::Stuck> slow_;
};

// Seconds of the median of the steps in this events.jsonl; 0 where there is none.
double MedianStep(const std::filesystem::path& events);

}  // namespace lockstep::launch::stuck
