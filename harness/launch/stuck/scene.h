// What a look at a run that stands still sees: where every rank is, and what its plan and its lines say.
//
// Plain data: who fills it in reads files and processes (watcher.h), who reads it draws conclusions (diagnose.h), and a
// test writes it down.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "harness/protocol/cursor.h"
#include "harness/protocol/plan.h"
#include "harness/protocol/schedule.h"

namespace lockstep::launch::stuck {

enum class Life { kAlive, kStopped, kDead };

struct RankView {
  std::int64_t pid = 0;  // 0: not known
  Life life = Life::kAlive;
  std::string death;  // "exited with 3"
  std::string error;  // done.json's, where the rank gave up
  protocol::Cursor cursor;
  std::vector<protocol::Action> line;                       // what it does in a step; its cursor's position counts here
  std::map<std::string, std::vector<std::int64_t>> groups;  // ranks of the world
};

struct Scene {
  protocol::Plan plan;
  std::int64_t first_step = 1;
  std::vector<RankView> ranks;
  std::int64_t now = 0;  // ns, on the clock of Cursor::since
};

}  // namespace lockstep::launch::stuck
