#include "harness/launch/stuck/diagnose.h"

#include <algorithm>
#include <cstdio>

#include "harness/launch/stuck/graph.h"
#include "harness/launch/stuck/lines.h"
#include "harness/launch/stuck/words.h"

namespace lockstep::launch::stuck {
namespace {

using protocol::CursorState;
using protocol::Stuck;
using protocol::StuckKind;

class Diagnosis {
 public:
  explicit Diagnosis(const Scene& scene) : scene_(scene), lines_(scene) {}

  std::optional<Stuck> Of() const {
    for (const auto cause : {&Diagnosis::GivenUp, &Diagnosis::Dead, &Diagnosis::Stopped, &Diagnosis::Slow,
                             &Diagnosis::Crossed, &Diagnosis::Missing, &Diagnosis::OtherOperation, &Diagnosis::PassedBy,
                             &Diagnosis::InCycle, &Diagnosis::AllThere}) {
      if (const std::optional<Stuck> found = (this->*cause)()) return found;
    }
    return std::nullopt;
  }

  // `rank` waits for what its sender has passed by, and what nobody asked that sender for lies at another rank.
  std::optional<Stuck> SentElsewhere(std::int64_t rank) const {
    const protocol::Cursor& cursor = CursorOf(rank);
    const auto producer = lines_.Producer(rank, MessageOf(cursor));
    if (!producer || lines_.Passed(*producer, cursor.step) != true) return std::nullopt;
    const std::int64_t stray = (cursor.backward == 1 ? -1 : 1) * (cursor.peer + 1);
    for (std::int64_t other = 0; other < size(); ++other) {
      if (other == rank || CursorOf(other).stray != stray || lines_.Linked(cursor.peer, other, cursor.backward == 1))
        continue;
      Stuck stuck = New(StuckKind::kLinkCrossed, rank);
      stuck.actual = other;
      stuck.words = Waiter(rank) + ": link crossed: " + Done(*producer) + ", and a message of it lies at " +
                    NameOf(other) + ", which expects none from it";
      return stuck;
    }
    return std::nullopt;
  }

 private:
  std::int64_t size() const { return static_cast<std::int64_t>(scene_.ranks.size()); }
  const RankView& At(std::int64_t rank) const { return scene_.ranks[static_cast<std::size_t>(rank)]; }
  const protocol::Cursor& CursorOf(std::int64_t rank) const { return At(rank).cursor; }
  std::string NameOf(std::int64_t rank) const { return Name(scene_, rank); }

  // Where the rank stands; on a link, also the micro-batch that it waits for.
  Stuck New(StuckKind kind, std::int64_t rank) const {
    const protocol::Cursor& cursor = CursorOf(rank);
    Stuck stuck;
    stuck.kind = kind;
    stuck.rank = rank;
    stuck.step = cursor.step;
    stuck.position = cursor.position;
    stuck.stage = cursor.stage;
    stuck.micro_batch = cursor.micro_batch;
    if (WaitsOnLink(At(rank))) {
      stuck.peer = cursor.peer;
      stuck.micro_batch = cursor.message_micro_batch;
      stuck.stage = cursor.state == CursorState::kReceiving ? cursor.target_stage : cursor.source_stage;
    }
    if (InCollective(At(rank))) {
      stuck.group = GroupOf(cursor);
      stuck.number = cursor.number;
    }
    return stuck;
  }
  // "rank 1 (pid 4711), in step 3 at 1F2 (position 5 of its line), waits to receive ..."
  std::string Waiter(std::int64_t rank) const {
    const protocol::Cursor& cursor = CursorOf(rank);
    return NameOf(rank) + ", " + Where(cursor) + ", " + WaitWords(cursor);
  }
  std::string Stands(std::int64_t rank) const {
    const bool alive = At(rank).life == Life::kAlive;
    return (alive ? "it stands " : "it stood ") + Describe(CursorOf(rank));
  }
  std::string WhoWaits(std::int64_t rank, Stuck* stuck) const {
    const std::vector<std::int64_t> waiting = WaitingFor(scene_, rank);
    if (waiting.empty()) return "";
    stuck->peer = waiting[0];
    return "; " + Ranks(waiting) + (waiting.size() == 1 ? " waits for it" : " wait for it");
  }

  std::optional<Stuck> GivenUp() const {
    for (std::int64_t rank = 0; rank < size(); ++rank) {
      const bool said = CursorOf(rank).state == CursorState::kGaveUp || !At(rank).error.empty();
      if (said) return GaveUp(scene_, rank, At(rank).error);
    }
    return std::nullopt;
  }
  std::optional<Stuck> Dead() const {
    for (std::int64_t rank = 0; rank < size(); ++rank) {
      if (At(rank).life != Life::kDead || CursorOf(rank).state == CursorState::kDone) continue;
      Stuck stuck = New(StuckKind::kPeerDead, rank);
      stuck.peer = -1;
      stuck.words = NameOf(rank) + " " + (At(rank).death.empty() ? "died" : At(rank).death) + ": " + Stands(rank) +
                    WhoWaits(rank, &stuck);
      return stuck;
    }
    return std::nullopt;
  }
  std::optional<Stuck> Stopped() const {
    for (std::int64_t rank = 0; rank < size(); ++rank) {
      if (At(rank).life != Life::kStopped) continue;
      Stuck stuck = New(StuckKind::kPeerStopped, rank);
      stuck.peer = -1;
      stuck.words = NameOf(rank) + " is stopped (state T): " + Stands(rank) + WhoWaits(rank, &stuck);
      return stuck;
    }
    return std::nullopt;
  }
  // Who has worked longest while somebody waits.
  std::optional<Stuck> Slow() const {
    std::int64_t slowest = -1;
    std::vector<std::int64_t> waiting;
    for (std::int64_t rank = 0; rank < size(); ++rank) {
      if (Waits(At(rank))) waiting.push_back(rank);
      if (!Works(At(rank))) continue;
      if (slowest < 0 || CursorOf(rank).since < CursorOf(slowest).since) slowest = rank;
    }
    if (slowest < 0) return std::nullopt;
    Stuck stuck = New(StuckKind::kPeerSlow, slowest);
    if (!waiting.empty()) stuck.peer = waiting[0];
    char seconds[32];
    std::snprintf(seconds, sizeof seconds, " for %.1f s",
                  static_cast<double>(scene_.now - CursorOf(slowest).since) * 1e-9);
    const std::string others =
        waiting.empty() ? "" : ", and " + Ranks(waiting) + (waiting.size() == 1 ? " waits" : " wait");
    stuck.words = NameOf(slowest) + " is slow, not stuck: it is " + Describe(CursorOf(slowest)) + seconds + others;
    return stuck;
  }

  // A message lies at a rank that has asked another one for it.
  std::optional<Stuck> Crossed() const {
    for (std::int64_t rank = 0; rank < size(); ++rank) {
      const protocol::Cursor& cursor = CursorOf(rank);
      if (cursor.state != CursorState::kReceiving) continue;
      const Message message = MessageOf(cursor);
      const auto producer = lines_.Producer(rank, message);
      if (producer && producer->rank != cursor.peer) {
        Stuck stuck = New(StuckKind::kLinkCrossed, rank);
        stuck.peer = producer->rank;
        stuck.actual = cursor.peer;
        stuck.words = Waiter(rank) + ": link crossed: expected from " + NameOf(producer->rank) + ", on which " +
                      protocol::ToString(lines_.At(*producer)) + " stands";
        return stuck;
      }
      if (const auto found = SentElsewhere(rank)) return found;
    }
    return std::nullopt;
  }
  // "rank 0 (pid 4710) has done 0F2 (position 2 of its line)"
  std::string Done(const Place& place) const { return NameOf(place.rank) + " has done " + Action(place); }
  std::string Action(const Place& place) const {
    return protocol::ToString(lines_.At(place)) + " (position " + std::to_string(place.position) + " of its line)";
  }

  // A receive whose sender has passed, or a send whose receiver has.
  std::optional<Stuck> Missing() const {
    for (std::int64_t rank = 0; rank < size(); ++rank) {
      const protocol::Cursor& cursor = CursorOf(rank);
      if (!WaitsOnLink(At(rank))) continue;
      const bool receives = cursor.state == CursorState::kReceiving;
      const auto other = receives ? lines_.Producer(rank, MessageOf(cursor)) : lines_.Consumer(rank, MessageOf(cursor));
      if (!other || lines_.Passed(*other, cursor.step) != true) continue;
      Stuck stuck = New(StuckKind::kLinkMissing, rank);
      stuck.words = Waiter(rank) + ": link missing: " + Done(*other) + " and has not " +
                    (receives ? "sent it here" : "taken it") + "; " + Stands(other->rank);
      return stuck;
    }
    return std::nullopt;
  }

  // Two members at the same number of the same group, with different operations.
  std::optional<Stuck> OtherOperation() const {
    for (std::int64_t rank = 0; rank < size(); ++rank) {
      const protocol::Cursor& cursor = CursorOf(rank);
      if (!InCollective(At(rank)) || cursor.operation == 0) continue;
      const auto group = At(rank).groups.find(GroupOf(cursor));
      if (group == At(rank).groups.end()) continue;
      for (const std::int64_t member : group->second) {
        if (member < 0 || member >= size()) continue;
        const protocol::Cursor& there = CursorOf(member);
        const bool same = there.state == CursorState::kCollective && there.group == cursor.group &&
                          there.number == cursor.number && there.operation != 0;
        if (!same || there.operation == cursor.operation) continue;
        Stuck stuck = New(StuckKind::kMismatch, rank);
        stuck.peer = member;
        stuck.words =
            Waiter(rank) + ": mismatch: " + NameOf(member) + ", " + Where(there) + ", has come to " + Collective(there);
        return stuck;
      }
    }
    return std::nullopt;
  }
  // A collective for which a member will not come any more.
  std::optional<Stuck> PassedBy() const {
    for (std::int64_t rank = 0; rank < size(); ++rank) {
      if (!InCollective(At(rank))) continue;
      for (const std::int64_t member : Absent(scene_, rank)) {
        const protocol::Cursor& there = CursorOf(member);
        const bool later = there.state == CursorState::kCollective && there.group == CursorOf(rank).group &&
                           there.number > CursorOf(rank).number;
        if (there.state != CursorState::kDone && !later) continue;
        Stuck stuck = New(StuckKind::kMemberMissing, rank);
        stuck.peer = member;
        stuck.words = Waiter(rank) + ": member missing: " + NameOf(member) + " has not arrived; " + Stands(member);
        return stuck;
      }
    }
    return std::nullopt;
  }

  std::optional<Stuck> InCycle() const {
    std::vector<std::int64_t> cycle = Cycle(scene_, WaitsOnLink);
    if (cycle.empty()) cycle = Cycle(scene_, Waits);
    if (cycle.empty()) return std::nullopt;
    const bool groups = std::all_of(cycle.begin(), cycle.end(), [&](std::int64_t r) { return InCollective(At(r)); });
    Stuck stuck = New(groups ? StuckKind::kOutOfOrder : StuckKind::kDeadlock, cycle[0]);
    stuck.peer = cycle.size() > 1 ? cycle[1] : -1;
    stuck.cycle = cycle;
    stuck.words = groups ? "out of order: members of the same ranks' groups come to their collectives in different "
                           "orders: "
                         : "deadlock: ";
    for (std::size_t i = 0; i < cycle.size(); ++i) {
      if (i > 0) stuck.words += "; ";
      stuck.words += Waiter(cycle[i]) + Wanted(cycle[i], cycle[(i + 1) % cycle.size()]);
    }
    return stuck;
  }
  // ", the result of 1F0 (position 3 of its line), which rank 0 has not come to"
  std::string Wanted(std::int64_t rank, std::int64_t next) const {
    if (InCollective(At(rank))) return ", to which rank " + std::to_string(next) + " has not come";
    const bool receives = CursorOf(rank).state == CursorState::kReceiving;
    const Message message = MessageOf(CursorOf(rank));
    const auto other = receives ? lines_.Producer(rank, message) : lines_.Consumer(rank, message);
    if (!other) return "";
    return (receives ? ", the result of " : ", which is for ") + Action(*other) + ", to which rank " +
           std::to_string(next) + " has not come";
  }

  // Every member is at the collective, and it doesn't end.
  std::optional<Stuck> AllThere() const {
    for (std::int64_t rank = 0; rank < size(); ++rank) {
      if (!InCollective(At(rank)) || !At(rank).groups.contains(GroupOf(CursorOf(rank)))) continue;
      if (!Absent(scene_, rank).empty()) continue;
      Stuck stuck = New(StuckKind::kMismatch, rank);
      stuck.words = Waiter(rank) +
                    ": mismatch: all its members are there, and it doesn't end: they differ in size or "
                    "type, or the library that runs it is stuck";
      return stuck;
    }
    return std::nullopt;
  }

  const Scene& scene_;
  Lines lines_;
};

}  // namespace

std::optional<Stuck> Diagnose(const Scene& scene) { return Diagnosis(scene).Of(); }

std::optional<Stuck> GaveUp(const Scene& scene, std::int64_t rank, const std::string& error) {
  const protocol::Cursor& cursor = scene.ranks[static_cast<std::size_t>(rank)].cursor;
  const std::optional<StuckKind> kind = protocol::KindInWords(error);
  if (kind == StuckKind::kLinkMissing) {  // what it never got may lie elsewhere, which it can't know
    Scene before = scene;
    TakeBack(&before.ranks[static_cast<std::size_t>(rank)].cursor);
    if (const auto found = Diagnosis(before).SentElsewhere(rank)) return found;
  }
  Stuck stuck;
  stuck.kind = kind.value_or(StuckKind::kPeerDead);
  stuck.rank = rank;
  stuck.step = cursor.step;
  stuck.position = cursor.position;
  stuck.stage = cursor.stage;
  stuck.micro_batch = cursor.micro_batch;
  stuck.peer = kind ? cursor.peer : -1;
  if (kind) {
    if (cursor.message_micro_batch >= 0) stuck.micro_batch = cursor.message_micro_batch;
    // Of messages asked for ahead, another than the one it waits for may be the wrong one.
    const protocol::ExpectedMessage expected = protocol::ExpectedInWords(error);
    if (expected.micro_batch >= 0) stuck.micro_batch = expected.micro_batch;
    if (expected.stage >= 0) stuck.stage = expected.stage;
    if (expected.peer >= 0) stuck.peer = expected.peer;
  }
  stuck.words = Name(scene, rank) + " gave up " + Where(cursor) + (error.empty() ? "" : ": " + error);
  return stuck;
}

std::vector<std::int64_t> WaitingFor(const Scene& scene, std::int64_t rank) {
  std::vector<std::int64_t> waiting;
  for (std::int64_t each = 0; each < static_cast<std::int64_t>(scene.ranks.size()); ++each) {
    const std::vector<std::int64_t> whom = WaitsFor(scene, each);
    if (std::find(whom.begin(), whom.end(), rank) != whom.end()) waiting.push_back(each);
  }
  return waiting;
}

}  // namespace lockstep::launch::stuck
