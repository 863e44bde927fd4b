// One process tree: started in a session of its own, found again whatever its members do, and ended whole.
//
// Members are the root, its descendants, its session, children that it left to us (we are their subreaper), and every
// process whose environment carries this tree's marker. Only members are ever signalled: a pid that a trainer merely
// claims to have is not. Invariant: after End() no member is left. It knows nothing of trainers and evidence.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace lockstep::launch {

struct ExitStatus {
  std::optional<int> exit, signal;
};
std::string ToString(const ExitStatus& status);  // "exited with 2", "was killed by signal 9 (Killed)", "ended"

// What /proc says of a process: state letter ('R', 'S', 'T' stopped, 'Z' ended, ...), or '\0' where there is none.
struct ProcessState {
  char state = '\0';
  pid_t parent = 0, session = 0;
  std::optional<ExitStatus> status;  // of a zombie, where we may read it
  bool Alive() const { return state != '\0' && state != 'Z' && state != 'X'; }
  bool Stopped() const { return state == 'T' || state == 't'; }
};
ProcessState Inspect(pid_t pid);

// The rank that its launcher gave a process (Open MPI, Slurm or torchrun variables), where it can be read.
std::optional<std::int64_t> RankOf(pid_t pid);

// A descriptor that is readable when the process has ended; -1 where there is none.
int OpenPidfd(pid_t pid);

class ProcessTree {
 public:
  struct Command {
    std::vector<std::string> arguments;
    std::map<std::string, std::string> environment;  // on top of ours
    std::filesystem::path stdout_file, stderr_file;
  };

  // Throws BadInput when the command can't be executed ("PROGRAM: No such file or directory").
  explicit ProcessTree(const Command& command);
  ~ProcessTree();  // End()
  ProcessTree(const ProcessTree&) = delete;
  ProcessTree& operator=(const ProcessTree&) = delete;

  pid_t root() const { return root_; }
  int root_fd() const { return root_fd_; }  // readable when the root has ended (pidfd)
  bool RootEnded();                         // reaps it
  const ExitStatus& root_status() const { return root_status_; }
  std::set<pid_t> Members();                          // alive now, the root among them
  bool Belongs(pid_t pid);                            // is alive and a member
  std::optional<ExitStatus> Reaped(pid_t pid) const;  // of members that were left to us

  // TERM, then KILL after `grace_seconds`, until nobody is left.
  void End(double grace_seconds = 2);

 private:
  void Reap();
  void Signal(int signal, const std::set<pid_t>& pids);

  std::string marker_;
  std::set<pid_t> others_;  // children that we had before
  std::set<pid_t> known_;   // everybody ever seen in the tree
  std::map<pid_t, ExitStatus> reaped_;
  pid_t root_ = 0;
  int root_fd_ = -1;
  bool root_ended_ = false;
  ExitStatus root_status_;
};

}  // namespace lockstep::launch
