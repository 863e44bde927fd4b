#include "harness/launch/attempt.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "harness/launch/stuck/stacks.h"
#include "harness/protocol/files.h"

namespace lockstep::launch {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kTickMilliseconds = 50;
constexpr std::size_t kDeepStacks = 2;
constexpr double kStackSeconds = 2;

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
    watchers_.push_back(std::make_unique<stuck::Watcher>(request));
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
  NoteStacks();
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
  const bool watched = tree_ && current_ < requests_.size();
  if (watched && watchers_[current_]->Look(Seen(requests_[current_]))) progress_ = Clock::now();
}

const stuck::Watcher& Attempt::WatcherOf(const RequestWatch& request) const {
  return *watchers_.at(static_cast<std::size_t>(&request - requests_.data()));
}

std::vector<stuck::Seen> Attempt::Seen(const RequestWatch& request) const {
  std::vector<stuck::Seen> ranks;
  for (std::size_t i = 0; i < request.ranks().size(); ++i) {
    const RankWatch& watch = request.ranks()[i];
    stuck::Seen& rank = ranks.emplace_back();
    rank.here = watch.said_hello && watch.on_this_host;
    rank.done = watch.done;
    rank.error = watch.error;
    const auto process = processes_.find(static_cast<std::int64_t>(i));
    if (process == processes_.end()) continue;
    rank.dead = process->second.dead;
    if (process->second.fd >= 0 || rank.dead) rank.pid = process->second.pid;
    const ExitStatus& status = process->second.status;
    if (rank.dead && (status.exit || status.signal)) rank.death = ToString(status);
  }
  return ranks;
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
  const bool explained = std::any_of(processes_.begin(), processes_.end(), [](const auto& each) {
    return each.second.in_silence && !each.second.Terminated();
  });
  process->in_silence = !explained && DiedInSilence(rank);
}

// The request that ranks are at; one in which every rank has given up is no longer the current one.
RequestWatch& Attempt::AtWork() {
  RequestWatch& now = requests_[std::min(current_, requests_.size() - 1)];
  now.Update();
  const auto failed =
      std::find_if(requests_.begin(), requests_.end(), [](const auto& each) { return each.AnyGaveUp(); });
  return failed == requests_.end() ? now : *failed;
}

// Nobody had given up, and if then because of a death: a peer may see it before we do.
bool Attempt::DiedInSilence(std::int64_t rank) {
  const RequestWatch& now = AtWork();
  return now.ranks()[static_cast<std::size_t>(rank)].error.empty() &&
         std::all_of(now.ranks().begin(), now.ranks().end(),
                     [](const RankWatch& watch) { return watch.error.empty() || BlamesADeath(watch.error); });
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
  } else if (current_ < requests_.size() && watchers_[current_]->stuck()) {
    kind_ = EndKind::kTimeout;
    deadline_ = "stuck";
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

// Functions of those that the diagnosis names, or of the first; a debugger takes its time for each.
void Attempt::NoteStacks() {
  if (kind_ != EndKind::kTimeout) return;
  std::map<std::int64_t, pid_t> ranks;
  std::set<std::int64_t> deep;
  for (const auto& [rank, state] : last_states_) ranks[rank] = state.first;
  const auto& found = watchers_[std::min(current_, watchers_.size() - 1)]->stuck();
  if (found) deep = {found->rank, found->peer};
  for (auto rank = ranks.begin(); deep.empty() && rank != ranks.end(); ++rank) deep.insert(rank->first);
  while (deep.size() > kDeepStacks) deep.erase(std::prev(deep.end()));
  stacks_ = stuck::TakeStacks(ranks, deep, kStackSeconds);
}

}  // namespace lockstep::launch
