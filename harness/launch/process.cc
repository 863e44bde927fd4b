#include "harness/launch/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "harness/protocol/bad_input.h"

extern char** environ;

namespace lockstep::launch {
namespace {

constexpr const char* kMarker = "LOCKSTEP_TREE=";

ExitStatus FromWait(int status) {
  ExitStatus result;
  if (WIFEXITED(status)) result.exit = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) result.signal = WTERMSIG(status);
  return result;
}

std::string ReadSmall(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::set<pid_t> AllProcesses() {
  std::set<pid_t> pids;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    const std::string name = entry.path().filename();
    pid_t pid = 0;
    const auto [end, code] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (code == std::errc() && end == name.data() + name.size()) pids.insert(pid);
  }
  return pids;
}

std::string EnvironmentOf(pid_t pid) { return ReadSmall("/proc/" + std::to_string(pid) + "/environ"); }

// Everything that may allocate happens before the fork; the child only rearranges itself and executes.
struct Prepared {
  std::vector<std::string> words, variables;
  std::vector<char*> argv, envp;
};

void Prepare(const ProcessTree::Command& command, const std::string& marker, Prepared* prepared) {
  prepared->words = command.arguments;
  for (char** each = environ; *each != nullptr; ++each) {
    const std::string variable = *each;
    if (!command.environment.contains(variable.substr(0, variable.find('=')))) prepared->variables.push_back(variable);
  }
  for (const auto& [name, value] : command.environment) prepared->variables.push_back(name + "=" + value);
  prepared->variables.push_back(marker);
  for (std::string& word : prepared->words) prepared->argv.push_back(word.data());
  for (std::string& variable : prepared->variables) prepared->envp.push_back(variable.data());
  prepared->argv.push_back(nullptr);
  prepared->envp.push_back(nullptr);
}

[[noreturn]] void Execute(const Prepared& prepared, int out, int err, int report, pid_t harness) {
  setsid();
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  for (const int each : {SIGINT, SIGTERM, SIGPIPE}) signal(each, SIG_DFL);
  const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (getppid() == harness && null >= 0 && dup2(null, 0) >= 0 && dup2(out, 1) >= 0 && dup2(err, 2) >= 0) {
    execvpe(prepared.argv[0], prepared.argv.data(), prepared.envp.data());
  }
  const int code = errno;
  [[maybe_unused]] const auto written = write(report, &code, sizeof code);
  _exit(127);
}

}  // namespace

std::string ToString(const ExitStatus& status) {
  if (status.signal) {
    const char* name = sigdescr_np(*status.signal);
    return "was killed by signal " + std::to_string(*status.signal) + (name ? " (" + std::string(name) + ")" : "");
  }
  return status.exit ? "exited with " + std::to_string(*status.exit) : "ended";
}

ProcessState Inspect(pid_t pid) {
  ProcessState result;
  const std::string text = ReadSmall("/proc/" + std::to_string(pid) + "/stat");
  const std::size_t end = text.rfind(')');  // the name may hold anything
  if (end == std::string::npos) return result;
  std::istringstream fields(text.substr(end + 1));
  std::string group, word;
  fields >> result.state >> result.parent >> group >> result.session;
  for (int field = 7; field <= 52 && fields >> word; ++field) {
    if (field == 52 && result.state == 'Z') result.status = FromWait(std::atoi(word.c_str()));
  }
  return result;
}

// glibc 2.36 declares its own without C linkage.
int OpenPidfd(pid_t pid) { return static_cast<int>(syscall(SYS_pidfd_open, pid, 0)); }

std::optional<std::int64_t> RankOf(pid_t pid) {
  std::istringstream variables(EnvironmentOf(pid));
  std::string variable;
  while (std::getline(variables, variable, '\0')) {
    for (const char* name : {"OMPI_COMM_WORLD_RANK=", "SLURM_PROCID=", "RANK="}) {
      if (variable.starts_with(name)) return std::atoll(variable.c_str() + strlen(name));
    }
  }
  return std::nullopt;
}

ProcessTree::ProcessTree(const Command& command) {
  static std::atomic<int> launches = 0;
  marker_ = kMarker + std::to_string(getpid()) + "." + std::to_string(launches++);
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  for (const pid_t pid : AllProcesses()) {
    if (Inspect(pid).parent == getpid()) others_.insert(pid);
  }
  Prepared prepared;
  Prepare(command, marker_, &prepared);
  const int out = open(command.stdout_file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  const int err = open(command.stderr_file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  int report[2];
  if (out < 0 || err < 0 || pipe2(report, O_CLOEXEC) != 0) {
    throw std::runtime_error(command.stdout_file.string() + ": " + strerror(errno));
  }
  const pid_t self = getpid();
  root_ = fork();
  if (root_ == 0) Execute(prepared, out, err, report[1], self);
  const int fork_error = errno;
  close(out);
  close(err);
  close(report[1]);
  int code = root_ < 0 ? fork_error : 0;
  if (root_ > 0 && read(report[0], &code, sizeof code) != sizeof code) code = 0;
  close(report[0]);
  if (code != 0) {
    if (root_ > 0) waitpid(root_, nullptr, 0);
    throw protocol::BadInput(command.arguments.empty() ? "command" : command.arguments[0], strerror(code));
  }
  root_fd_ = OpenPidfd(root_);
  known_.insert(root_);
}

ProcessTree::~ProcessTree() {
  End();
  if (root_fd_ >= 0) close(root_fd_);
}

bool ProcessTree::RootEnded() {
  int status = 0;
  if (!root_ended_ && waitpid(root_, &status, WNOHANG) == root_) {
    root_ended_ = true;
    root_status_ = FromWait(status);
  }
  return root_ended_;
}

std::set<pid_t> ProcessTree::Members() {
  std::map<pid_t, ProcessState> states;
  for (const pid_t pid : AllProcesses()) states[pid] = Inspect(pid);
  std::set<pid_t> members;
  const auto is_ours = [&](pid_t pid, const ProcessState& state) {
    if (pid == root_ || state.session == root_ || members.contains(state.parent)) return true;
    if (state.parent == getpid()) return !others_.contains(pid);
    return EnvironmentOf(pid).find(marker_) != std::string::npos;
  };
  for (bool grown = true; grown;) {  // descendants of descendants
    grown = false;
    for (const auto& [pid, state] : states) {
      if (pid != getpid() && !members.contains(pid) && is_ours(pid, state)) grown = members.insert(pid).second || grown;
    }
  }
  known_.insert(members.begin(), members.end());
  std::erase_if(members, [&](pid_t pid) { return !states[pid].Alive(); });
  return members;
}

bool ProcessTree::Belongs(pid_t pid) { return Members().contains(pid); }

std::optional<ExitStatus> ProcessTree::Reaped(pid_t pid) const {
  const auto found = reaped_.find(pid);
  return found == reaped_.end() ? std::nullopt : std::optional(found->second);
}

void ProcessTree::Reap() {
  RootEnded();
  for (const pid_t pid : known_) {
    int status = 0;
    if (pid != root_ && !reaped_.contains(pid) && waitpid(pid, &status, WNOHANG) == pid)
      reaped_[pid] = FromWait(status);
  }
}

void ProcessTree::Signal(int signal, const std::set<pid_t>& pids) {
  for (const pid_t pid : pids) kill(pid, signal);
}

void ProcessTree::End(double grace_seconds) {
  using Clock = std::chrono::steady_clock;
  const auto begin = Clock::now();
  bool asked = false;
  for (;;) {
    const std::set<pid_t> members = Members();
    Reap();
    if (members.empty()) break;
    const double waited = std::chrono::duration<double>(Clock::now() - begin).count();
    if (!asked) {
      Signal(SIGTERM, members);
      Signal(SIGCONT, members);  // a stopped process can't answer
      asked = true;
    } else if (waited > grace_seconds) {
      Signal(SIGKILL, members);
      // An uninterruptible process can't be ended by anybody: it is left to the kernel rather than waited for.
      if (waited > grace_seconds + 10) break;
    }
    pollfd fd{root_ended_ ? -1 : root_fd_, POLLIN, 0};
    poll(&fd, 1, 10);
  }
}

}  // namespace lockstep::launch
