// One start of a trainer over several requests: waits for it with deadlines, ends it, and says how far it came.
//
// It knows processes and positions; what happens to requests that were not reached is for launch.cc to decide.
#pragma once

#include <chrono>
#include <csignal>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "harness/launch/launch.h"
#include "harness/launch/process.h"
#include "harness/launch/stuck/watcher.h"
#include "harness/launch/watch.h"

namespace lockstep::launch {

// A rank's process, from the moment it has said hello.
struct RankProcess {
  pid_t pid = 0;
  int fd = -1;  // pidfd; -1: not watched (another host, not ours, ended)
  bool dead = false;
  int death_order = 0;      // 1: the first that died
  bool in_silence = false;  // died without a word, and nobody had given up but because of a death; none after the first
                            // that was not terminated
  ExitStatus status;
  bool Terminated() const { return status.signal == SIGTERM; }  // as a launcher ends who is left
};

class Attempt {
 public:
  Attempt(const protocol::Manifest& manifest, const Job& job, const std::vector<std::filesystem::path>& requests);
  ~Attempt();

  // Runs to the end, whatever it is. Throws BadInput where the command can't be executed.
  void Run();

  // What diagnosis.h reads.
  EndKind kind() const { return kind_; }
  // Which one passed: "start", "step", "total", "end", "stuck"; or "".
  const std::string& deadline() const { return deadline_; }
  const Job& job() const { return job_; }
  const std::vector<RequestWatch>& requests() const { return requests_; }
  std::size_t current() const { return current_; }  // first request that is not done
  const std::map<std::int64_t, RankProcess>& processes() const { return processes_; }
  const ExitStatus& launcher() const { return launcher_; }
  pid_t launcher_pid() const { return launcher_pid_; }
  const std::map<std::int64_t, std::pair<pid_t, char>>& last_states() const { return last_states_; }
  // Of the request; never null.
  const stuck::Watcher& WatcherOf(const RequestWatch& request) const;
  std::vector<stuck::Seen> Seen(const RequestWatch& request) const;
  const std::map<std::int64_t, std::string>& stacks() const { return stacks_; }  // of a run that a deadline ended
  std::string StandardError() const;                                             // of the launcher and all ranks
  double seconds() const;

 private:
  void Update();
  void WatchProcess(std::int64_t rank, std::int64_t pid);
  void NoteDeath(std::int64_t rank, RankProcess* process, const ProcessState& state);
  RequestWatch& AtWork();
  bool DiedInSilence(std::int64_t rank);
  void LookForDeaths();
  bool Finished(std::int64_t rank) const;  // done with the last request, without an error
  std::string PassedDeadline();
  bool Abnormal();  // true: end it now; kind_ says why
  void Wait();
  void NoteStates();
  void NoteStacks();

  const Job& job_;
  std::vector<RequestWatch> requests_;
  ProcessTree::Command command_;
  std::unique_ptr<ProcessTree> tree_;
  std::map<std::int64_t, RankProcess> processes_;
  std::map<std::int64_t, std::pair<pid_t, char>> last_states_;  // by rank, when a deadline passed
  std::vector<std::unique_ptr<stuck::Watcher>> watchers_;       // by request
  std::map<std::int64_t, std::string> stacks_;
  std::size_t current_ = 0;
  std::chrono::steady_clock::time_point begin_, progress_, first_death_;
  std::uint64_t bytes_ = 0;
  int deaths_ = 0;
  EndKind kind_ = EndKind::kDone;
  std::string deadline_;
  ExitStatus launcher_;
  pid_t launcher_pid_ = 0;
};

}  // namespace lockstep::launch
