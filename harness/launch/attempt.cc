#include "harness/launch/attempt.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>

#include "harness/protocol/files.h"

namespace lockstep::launch {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kTickMilliseconds = 50;

double Since(Clock::time_point time) { return std::chrono::duration<double>(Clock::now() - time).count(); }

}  // namespace

Attempt::Attempt(const protocol::Manifest& manifest, const Job& job, const std::vector<std::filesystem::path>& requests)
    : job_(job) {
  Job part = job;
  part.requests = requests;
  command_.arguments = Expand(manifest, job.fault.empty() ? manifest.launch : manifest.faulty_launch, part);
  command_.environment = manifest.environment;
  for (const auto& [name, value] : job.environment) command_.environment[name] = value;
  command_.stdout_file = requests.at(0) / "launch.stdout";
  command_.stderr_file = requests.at(0) / "launch.stderr";
  for (const std::filesystem::path& request : requests) {
    std::filesystem::remove_all(request / "evidence");  // of an earlier attempt that was cut off
    requests_.emplace_back(request, job.world_size);
  }
}

Attempt::~Attempt() {
  for (auto& [rank, process] : processes_) {
    if (process.fd >= 0) close(process.fd);
  }
}

double Attempt::seconds() const { return Since(begin_); }

std::string Attempt::StandardError() const {
  try {
    return protocol::ReadTextFile(command_.stderr_file);
  } catch (const std::exception&) {
    return "";
  }
}

void Attempt::Run() {
  begin_ = progress_ = Clock::now();
  tree_ = std::make_unique<ProcessTree>(command_);
  launcher_pid_ = tree_->root();
  double ticked = 0;
  while (!tree_->RootEnded()) {
    Update();
    LookForDeaths();
    if (Abnormal()) break;
    if (job_.on_tick && seconds() - ticked >= 0.2) job_.on_tick(ticked = seconds());
    Wait();
  }
  LookForDeaths();
  NoteStates();
  tree_->End();
  launcher_ = tree_->root_status();
  for (auto& [rank, process] : processes_) {
    const auto reaped = tree_->Reaped(process.pid);
    if (process.dead && reaped) process.status = *reaped;
  }
  Update();
  tree_.reset();
  const bool all_done = current_ == requests_.size();
  if (kind_ == EndKind::kDone && (!all_done || launcher_.exit != 0)) kind_ = EndKind::kError;
}

// Requests are served in order, so only the current one and those that some rank has run ahead to are looked at.
void Attempt::Update() {
  std::uint64_t bytes = current_;
  for (std::size_t i = current_; i < requests_.size(); ++i) {
    requests_[i].Update();
    if (i == current_ && requests_[i].AllDone()) ++current_;
    if (!requests_[i].Begun()) break;
    bytes += requests_[i].EvidenceBytes();
    for (std::int64_t rank = 0; rank < job_.world_size; ++rank) {
      const RankWatch& watch = requests_[i].ranks()[static_cast<std::size_t>(rank)];
      if (watch.said_hello && watch.on_this_host) WatchProcess(rank, watch.pid);
    }
  }
  if (bytes != bytes_) progress_ = Clock::now();
  bytes_ = bytes;
}

// A pid is watched only when it is one of ours: a trainer may see other numbers than we do (containers). A rank that
// died before we looked has left no process with its pid, and none that its launcher calls by its rank.
void Attempt::WatchProcess(std::int64_t rank, std::int64_t pid) {
  RankProcess& process = processes_[rank];
  if (process.pid == pid) return;
  if (process.fd >= 0) close(process.fd);
  process = {};
  process.pid = static_cast<pid_t>(pid);
  if (!tree_ || pid <= 1) return;
  const std::set<pid_t> members = tree_->Members();
  if (members.contains(process.pid)) {
    process.fd = OpenPidfd(process.pid);
    if (process.fd < 0) NoteDeath(rank, &process, {});  // between the look and the call
    return;
  }
  const ProcessState state = Inspect(process.pid);
  const bool elsewhere = std::any_of(members.begin(), members.end(), [&](pid_t each) { return RankOf(each) == rank; });
  if (!state.Alive() && !elsewhere) NoteDeath(rank, &process, state);
}

void Attempt::NoteDeath(std::int64_t rank, RankProcess* process, const ProcessState& state) {
  if (state.status) process->status = *state.status;  // while it is a zombie; its parent may have been faster
  process->dead = true;
  requests_.back().Update();
  if (Finished(rank)) return;
  process->death_order = ++deaths_;
  if (deaths_ == 1) first_death_ = Clock::now();
}

bool Attempt::Finished(std::int64_t rank) const {
  const RankWatch& last = requests_.back().ranks()[static_cast<std::size_t>(rank)];
  return last.done && last.error.empty();
}

void Attempt::LookForDeaths() {
  for (auto& [rank, process] : processes_) {
    if (process.fd < 0) continue;
    pollfd fd{process.fd, POLLIN, 0};
    if (poll(&fd, 1, 0) <= 0) continue;
    close(process.fd);
    process.fd = -1;
    NoteDeath(rank, &process, Inspect(process.pid));
  }
}

std::string Attempt::PassedDeadline() {
  if (seconds() > job_.limits.total_seconds) return "total";
  if (current_ == requests_.size()) return Since(progress_) > job_.limits.step_seconds ? "end" : "";
  if (!requests_.front().AllHello()) return seconds() > StartSeconds(job_.limits, job_.world_size) ? "start" : "";
  return Since(progress_) > job_.limits.step_seconds ? "step" : "";
}

bool Attempt::Abnormal() {
  if (ReceivedSignal() != 0) {
    kind_ = EndKind::kInterrupted;
  } else if (deaths_ > 0 && Since(first_death_) > job_.limits.grace_seconds) {
    kind_ = EndKind::kError;
  } else if (deadline_ = PassedDeadline(); !deadline_.empty()) {
    kind_ = EndKind::kTimeout;
  }
  return kind_ != EndKind::kDone;
}

// Until the launcher or a rank ends, or the next tick.
void Attempt::Wait() {
  std::vector<pollfd> fds{{tree_->root_fd(), POLLIN, 0}};
  for (const auto& [rank, process] : processes_) {
    if (process.fd >= 0) fds.push_back({process.fd, POLLIN, 0});
  }
  poll(fds.data(), fds.size(), kTickMilliseconds);
}

// Before a tree is ended: which process serves which rank, and in what state. Ranks without a hello are found by the
// variables that their launcher gave them.
void Attempt::NoteStates() {
  if (kind_ == EndKind::kDone) return;
  for (const pid_t pid : tree_->Members()) {
    const auto rank = RankOf(pid);
    if (rank && pid != tree_->root()) last_states_[*rank] = {pid, Inspect(pid).state};
  }
  for (const auto& [rank, process] : processes_) {
    if (process.fd >= 0) last_states_[rank] = {process.pid, Inspect(process.pid).state};
  }
}

}  // namespace lockstep::launch
