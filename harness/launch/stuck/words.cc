#include "harness/launch/stuck/words.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "harness/launch/stuck/lines.h"

namespace lockstep::launch::stuck {
namespace {

using protocol::Cursor;
using protocol::CursorState;

constexpr std::size_t kMostNamed = 8;

// What a rank that waits for nobody does.
std::string Doing(CursorState state) {
  switch (state) {
    case CursorState::kStarting:
      return "starting";
    case CursorState::kData:
      return "finding its samples";
    case CursorState::kOptimizer:
      return "in the optimizer";
    case CursorState::kEvidence:
      return "writing evidence";
    case CursorState::kDone:
      return "done";
    case CursorState::kGaveUp:
      return "giving up";
    default:
      return "computing";
  }
}

std::string Number(std::int64_t number) { return std::to_string(number); }

}  // namespace

std::string GroupOf(const Cursor& cursor) {
  return {cursor.group.data(), strnlen(cursor.group.data(), cursor.group.size())};
}

std::string Collective(const Cursor& cursor) {
  const bool known = cursor.operation > 0 && cursor.operation <= protocol::kCursorOperations.size();
  return "collective " + Number(cursor.number) + " of group " + GroupOf(cursor) +
         (known ? std::string(" (") + protocol::kCursorOperations[cursor.operation - 1] + ")" : "");
}

std::string Where(const Cursor& cursor) {
  std::string text = cursor.step > 0 ? "in step " + Number(cursor.step) : "before the first step";
  if (cursor.position < 0) return text;
  text += " at " + Number(cursor.stage);
  text += cursor.kind == 0 ? "?" : std::string(1, static_cast<char>(cursor.kind));
  return text + Number(cursor.micro_batch) + " (position " + Number(cursor.position) + " of its line)";
}

std::string WaitWords(const Cursor& cursor) {
  switch (cursor.state) {
    case CursorState::kReceiving:
      return "waits to receive " + ToString(MessageOf(cursor)) + ", from rank " + Number(cursor.peer);
    case CursorState::kSending:
      return "waits until " + ToString(MessageOf(cursor)) + ", has left for rank " + Number(cursor.peer);
    case CursorState::kCollective:
      return "waits in " + Collective(cursor);
    default:
      return "is " + Doing(cursor.state);
  }
}

std::string Describe(const Cursor& cursor) {
  if (cursor.state == CursorState::kDone) return "done";
  std::string words = WaitWords(cursor);
  const bool waits = words.starts_with("waits ");
  return Where(cursor) + ", " + (waits ? "waiting " + words.substr(6) : words.substr(3));
}

std::string Name(const Scene& scene, std::int64_t rank) {
  const std::string name = "rank " + Number(rank);
  if (rank < 0 || rank >= static_cast<std::int64_t>(scene.ranks.size())) return name;
  const std::int64_t pid = scene.ranks[static_cast<std::size_t>(rank)].pid;
  return pid > 0 ? name + " (pid " + Number(pid) + ")" : name;
}

std::string Ranks(const std::vector<std::int64_t>& ranks) {
  if (ranks.size() == 1) return "rank " + Number(ranks[0]);
  std::string text = "ranks ";
  const std::size_t named = std::min(ranks.size(), kMostNamed);
  for (std::size_t i = 0; i < named; ++i) {
    const bool last = i + 1 == ranks.size();
    text += (i == 0 ? "" : last ? " and " : ", ") + Number(ranks[i]);
  }
  return named < ranks.size() ? text + ", ... (" + Number(static_cast<std::int64_t>(ranks.size())) + " in all)" : text;
}

}  // namespace lockstep::launch::stuck
