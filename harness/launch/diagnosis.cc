#include "harness/launch/diagnosis.h"

#include <algorithm>
#include <iomanip>
#include <optional>
#include <regex>
#include <sstream>

#include "harness/launch/stuck/words.h"
#include "harness/protocol/cursor.h"
#include "harness/protocol/evidence.h"

namespace lockstep::launch {
namespace {

constexpr std::size_t kTail = 4000;  // characters of standard error that a record keeps

// What launchers say of the rank that took the others down. Their word is better than ours where both are there: by
// the time that we look, they may have ended the others.
struct Blamed {
  std::int64_t rank = 0;
  ExitStatus status;
};

std::optional<Blamed> BlamedByLauncher(const std::string& text) {
  std::smatch match;
  static const std::regex open_mpi_signal("process rank (\\d+) with PID \\d+ [^\\n]*exited on signal (\\d+)");
  static const std::regex open_mpi_exit("Process name: \\[\\[\\d+,\\d+\\],(\\d+)\\]\\s+Exit code:\\s+(\\d+)");
  static const std::regex torchrun("rank\\s+: (\\d+) \\(local_rank[^)]*\\)\\s+exitcode\\s+: (-?\\d+)");
  const std::string tail = text.size() > 65536 ? text.substr(text.size() - 65536) : text;
  Blamed blamed;
  if (std::regex_search(tail, match, open_mpi_signal)) {
    blamed.status.signal = std::stoi(match[2]);
  } else if (std::regex_search(tail, match, open_mpi_exit)) {
    blamed.status.exit = std::stoi(match[2]);
  } else if (std::regex_search(tail, match, torchrun)) {
    const int code = std::stoi(match[2]);
    (code < 0 ? blamed.status.signal : blamed.status.exit) = std::abs(code);
  } else {
    return std::nullopt;
  }
  blamed.rank = std::stoll(match[1]);
  return blamed;
}

// The first line that says something: a trainer's own words stand before its launcher's.
std::string FirstWords(const std::string& text) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.find_first_not_of("- \t\r=*") == std::string::npos) continue;
    return line.size() > 240 ? line.substr(0, 240) + "..." : line;
  }
  return "";
}

std::string Name(const Attempt& attempt, std::int64_t rank) {
  std::string name = "rank " + std::to_string(rank);
  const auto process = attempt.processes().find(rank);
  const auto state = attempt.last_states().find(rank);
  if (process != attempt.processes().end()) return name + " (pid " + std::to_string(process->second.pid) + ")";
  if (state != attempt.last_states().end()) return name + " (pid " + std::to_string(state->second.first) + ")";
  return name;
}

std::string StateWords(char state) {
  switch (state) {
    case 'T':
    case 't':
      return "is stopped (state T)";
    case 'R':
      return "is computing (state R)";
    case 'S':
      return "is waiting (state S)";
    case 'D':
      return "is waiting for the kernel (state D)";
    default:
      return "is in state " + std::string(1, state);
  }
}

bool IsRank(const RequestWatch& request, std::int64_t rank) {
  return rank >= 0 && rank < static_cast<std::int64_t>(request.ranks().size());
}

// The rank that died before anybody gave up by itself, or -1: who gives up later does so because of it. One that was
// terminated is that only if no other is, and nobody says another reason: a launcher terminates who is left.
std::int64_t DiedInSilence(const Attempt& attempt, const RequestWatch& request) {
  std::int64_t terminated = -1;
  int order = 0;
  for (const auto& [rank, process] : attempt.processes()) {
    if (!process.in_silence) continue;
    if (!process.Terminated()) return rank;
    if (terminated >= 0 && process.death_order > order) continue;
    terminated = rank;
    order = process.death_order;
  }
  const bool blamed = std::all_of(request.ranks().begin(), request.ranks().end(),
                                  [](const RankWatch& rank) { return rank.error.empty() || BlamesADeath(rank.error); });
  return blamed ? terminated : -1;
}

// The first rank that gave up for a reason of its own; failing that, the first that gave up; or -1.
std::int64_t GaveUp(const Attempt& attempt, const RequestWatch& request) {
  if (DiedInSilence(attempt, request) >= 0) return -1;
  std::int64_t first = -1;
  for (std::size_t rank = 0; rank < request.ranks().size(); ++rank) {
    const std::string& error = request.ranks()[rank].error;
    if (error.empty()) continue;
    if (!BlamesAPeer(error)) return static_cast<std::int64_t>(rank);
    if (first < 0) first = static_cast<std::int64_t>(rank);
  }
  return first;
}

// The rank whose death took the others down; its number is -1 when none is known to have died.
Blamed VictimOf(const Attempt& attempt, const RequestWatch& request) {
  const std::optional<Blamed> blamed = BlamedByLauncher(attempt.StandardError());
  // A launcher blames who failed first in its eyes, which may be one that gave up because of the dead one.
  const auto gave_up = [&] { return !request.ranks()[static_cast<std::size_t>(blamed->rank)].error.empty(); };
  if (blamed && IsRank(request, blamed->rank) && (DiedInSilence(attempt, request) < 0 || !gave_up())) return *blamed;
  const std::int64_t silent = DiedInSilence(attempt, request);
  for (const auto& [rank, process] : attempt.processes()) {
    if (silent >= 0 ? rank == silent : process.death_order == 1) return {rank, process.status};
  }
  return {-1, {}};
}

// "; ranks 0 and 2 wait for it"
std::string WhoWaited(const Attempt& attempt, const RequestWatch& request) {
  const std::vector<protocol::Stuck> stuck = StuckOf(attempt, request);
  if (stuck.empty() || stuck.back().kind != protocol::StuckKind::kPeerDead) return "";
  const std::size_t at = stuck.back().words.rfind("; rank");
  return at == std::string::npos ? "" : stuck.back().words.substr(at);
}

// "rank 1 (pid 4711) was killed by signal 9 (Killed) after step 2", or "" when no rank is known to have died.
std::string ExplainDeath(const Attempt& attempt, const RequestWatch& request) {
  if (const std::int64_t rank = GaveUp(attempt, request); rank >= 0) {
    // The others may know more than it could.
    const std::vector<protocol::Stuck> stuck = StuckOf(attempt, request);
    if (!stuck.empty() && stuck.back().kind == protocol::StuckKind::kLinkCrossed) return stuck.back().words;
    const auto cursor = protocol::ReadCursor(protocol::RankFolder(request.request(), rank) / protocol::kCursorFile);
    return Name(attempt, rank) + " gave up" + (cursor ? " " + stuck::Where(*cursor) : "") + ": " +
           request.ranks()[static_cast<std::size_t>(rank)].error;
  }
  const auto [victim, status] = VictimOf(attempt, request);
  if (victim < 0) return "";
  const bool exited = status.exit.has_value();
  const std::string words = status.exit || status.signal ? ToString(status) : "died";
  std::string text = Name(attempt, victim) + " " + words + " " + request.Position(victim) + WhoWaited(attempt, request);
  if (exited) {
    const std::string said = FirstWords(attempt.StandardError());
    text += status.exit == 0 ? ", before it was done" : said.empty() ? "" : ": " + said;
  }
  return text;
}

// "rank 1 has no process, rank 0 (pid 4711) is waiting (state S): 2 of 3 ranks never said hello". Those without a
// process come first: they are what the others wait for.
std::string MissingHellos(const Attempt& attempt, const RequestWatch& request) {
  std::string gone, there;
  std::size_t missing = 0;
  for (std::size_t i = 0; i < request.ranks().size(); ++i) {
    if (request.ranks()[i].said_hello) continue;
    ++missing;
    const auto rank = static_cast<std::int64_t>(i);
    const auto state = attempt.last_states().find(rank);
    const bool known = state != attempt.last_states().end();
    std::string& names = known ? there : gone;
    names += (names.empty() ? "" : ", ") + Name(attempt, rank);
    names += known ? " " + StateWords(state->second.second) : " has no process";
  }
  if (missing == 0) return "";
  return gone + (gone.empty() || there.empty() ? "" : ", ") + there + ": " + std::to_string(missing) + " of " +
         std::to_string(request.ranks().size()) + " ranks never said hello";
}

std::string Seconds(double seconds) {
  std::ostringstream text;
  text << seconds << " s";
  return text.str();
}

std::string Tenths(double seconds) {
  std::ostringstream text;
  text << std::fixed << std::setprecision(1) << seconds << " s";
  return text.str();
}

// Who holds the others up: a stopped rank, otherwise the one furthest behind.
std::string ExplainHang(const Attempt& attempt, const RequestWatch& request) {
  std::string stopped;
  std::int64_t behind = -1;
  for (std::int64_t rank = 0; rank < static_cast<std::int64_t>(request.ranks().size()); ++rank) {
    if (request.ranks()[static_cast<std::size_t>(rank)].done) continue;
    const auto state = attempt.last_states().find(rank);
    if (state != attempt.last_states().end() && (state->second.second == 'T' || state->second.second == 't')) {
      stopped +=
          (stopped.empty() ? "" : "; ") + Name(attempt, rank) + " is stopped (state T) " + request.Position(rank);
    }
    if (behind < 0 || request.PositionOrder(rank) < request.PositionOrder(behind)) behind = rank;
  }
  if (!stopped.empty()) return stopped;
  if (behind < 0) return "every rank is done, but the launcher goes on";
  const auto state = attempt.last_states().find(behind);
  return "furthest behind is " + Name(attempt, behind) +
         (state == attempt.last_states().end() ? "" : ", which " + StateWords(state->second.second)) + ", " +
         request.Position(behind);
}

std::string ExplainTimeout(const Attempt& attempt, const RequestWatch& request) {
  const Limits& limits = attempt.job().limits;
  const stuck::Watcher& watcher = attempt.WatcherOf(request);
  if (watcher.stuck()) return watcher.stuck()->words + "; no progress for " + Tenths(watcher.stuck()->seconds);
  const std::string missing = MissingHellos(attempt, request);
  if (attempt.deadline() == "start")
    return missing + " within " + Seconds(StartSeconds(limits, attempt.job().world_size));
  const std::string why = attempt.deadline() == "total" ? "not done within " + Seconds(limits.total_seconds)
                                                        : "no progress for " + Seconds(limits.step_seconds);
  if (watcher.slow_now()) return watcher.slow().back().words + "; " + why;
  const std::string who = missing.empty() || !request.Begun() ? ExplainHang(attempt, request) : missing;
  return who + "; " + why;
}

}  // namespace

std::string Explain(const Attempt& attempt, const RequestWatch& request) {
  if (attempt.kind() == EndKind::kInterrupted) return "interrupted";
  if (attempt.kind() == EndKind::kTimeout) return ExplainTimeout(attempt, request);
  const std::string death = ExplainDeath(attempt, request);
  if (!death.empty()) return death;
  const std::string launcher = "the launcher " + ToString(attempt.launcher());
  const std::string said = FirstWords(attempt.StandardError());
  const std::string missing = MissingHellos(attempt, request);
  if (!missing.empty()) return missing + "; " + launcher + (said.empty() ? "" : ": " + said);
  std::string undone;
  for (std::size_t rank = 0; rank < request.ranks().size(); ++rank) {
    if (request.ranks()[rank].done) continue;
    undone += (undone.empty() ? "" : ", ") + Name(attempt, static_cast<std::int64_t>(rank)) + " stood " +
              request.Position(static_cast<std::int64_t>(rank));
  }
  return launcher + (undone.empty() ? " after every rank was done" : ": " + undone) + (said.empty() ? "" : ": " + said);
}

std::vector<protocol::Stuck> StuckOf(const Attempt& attempt, const RequestWatch& request) {
  const stuck::Watcher& watcher = attempt.WatcherOf(request);
  std::vector<protocol::Stuck> all = watcher.slow();
  std::optional<protocol::Stuck> last = watcher.stuck();
  const bool served = request.AllDone() && !request.AnyGaveUp();
  if (!last && !served && attempt.kind() == EndKind::kError) {
    std::vector<stuck::Seen> ranks = attempt.Seen(request);
    const std::int64_t gave_up = GaveUp(attempt, request);
    const Blamed victim = gave_up >= 0 ? Blamed{gave_up, {}} : VictimOf(attempt, request);
    if (victim.rank >= 0) {
      if (victim.status.exit || victim.status.signal) {
        ranks[static_cast<std::size_t>(victim.rank)].death = ToString(victim.status);
      }
      last = watcher.Explain(ranks, victim.rank);
    }
  }
  if (last) all.push_back(*last);
  return all;
}

std::vector<protocol::RankResult> Ranks(const Attempt& attempt, const RequestWatch& request) {
  std::vector<protocol::RankResult> results;
  const std::string text = attempt.StandardError();
  protocol::RankResult launcher;
  launcher.rank = -1;
  launcher.pid = attempt.launcher_pid();
  launcher.exit = attempt.launcher().exit;
  launcher.signal = attempt.launcher().signal;
  launcher.stderr_tail = text.size() > kTail ? text.substr(text.size() - kTail) : text;
  launcher.position = "launcher";
  results.push_back(launcher);
  for (std::size_t i = 0; i < request.ranks().size(); ++i) {
    if (!request.ranks()[i].said_hello) continue;
    protocol::RankResult result;
    result.rank = static_cast<std::int64_t>(i);
    result.pid = request.ranks()[i].pid;
    result.position = request.Position(result.rank);
    const auto process = attempt.processes().find(result.rank);
    if (process != attempt.processes().end() && process->second.dead) {
      result.exit = process->second.status.exit;
      result.signal = process->second.status.signal;
    }
    const auto stack = attempt.stacks().find(result.rank);
    if (stack != attempt.stacks().end()) result.stack = stack->second;
    results.push_back(result);
  }
  return results;
}

}  // namespace lockstep::launch
