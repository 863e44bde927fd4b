// Starts a trainer's process tree, watches it, and ends it.
//
// Invariants: nothing waits for ever; when Launch returns, no process of the tree is left (process.h says who belongs
// to it); what every rank was last seen doing is told. A trainer's failure is a value. It knows requests and evidence,
// but no check and no verdict.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "harness/protocol/manifest.h"
#include "harness/protocol/record.h"

namespace lockstep::launch {

enum class EndKind { kDone, kError, kTimeout, kInterrupted };

struct RunEnd {
  EndKind kind = EndKind::kDone;
  std::string reason;                       // "rank 1 (pid 4711) was killed by signal 9 after step 2"
  std::vector<protocol::RankResult> ranks;  // of ranks that said hello; rank -1 is the launcher
  std::vector<protocol::Stuck> stuck = {};  // what held it up; the last is why it was ended, where that is the reason
  double seconds = 0;
};

struct Limits {
  double start_seconds = 20;  // until a trainer of one rank has said hello; see StartSeconds
  double step_seconds = 30;   // without a new byte of evidence from any rank
  double grace_seconds = 1;   // for a launcher to end by itself after a rank has died
  double total_seconds = 600;
};

// Until every one of `ranks` ranks has said hello: each further rank adds an eighth, for ranks share a machine's cores
// and its disk when they start.
double StartSeconds(const Limits& limits, std::int64_t ranks);

struct Job {
  std::vector<std::filesystem::path> requests;  // folders, all of one world size
  std::int64_t world_size = 1;
  Limits limits;
  std::string fault;                               // name, or empty
  std::map<std::string, std::string> environment;  // added to the manifest's
  std::function<void(double seconds)> on_tick;     // called a few times a second while running; may be empty
};

// One end a request, in order. After an abnormal end the requests that had not begun are launched again by themselves.
std::vector<RunEnd> Launch(const protocol::Manifest& manifest, const Job& job);

// Runs a short command of the manifest (describe, faults): standard output, or BadInput with its standard error.
std::string Capture(const protocol::Manifest& manifest, const std::vector<std::string>& command, double seconds);

// Lockstep's cache folder: $LOCKSTEP_CACHE, or ~/.cache/lockstep. A BadInput where neither can be told.
std::filesystem::path CacheFolder();
std::filesystem::path WritableCache();  // it, made where it isn't there; BadInput where nothing can be written to it

// Placeholders filled in ({bin}, {manifest_dir}, {cache}, {python}, {world_size}, {fault}, {requests}).
std::vector<std::string> Expand(const protocol::Manifest& manifest, const std::vector<std::string>& command,
                                const Job& job);

// The processes that this process (or its descendants) started end with it; SIGINT and SIGTERM end the tree and are
// reported as kInterrupted.
void InstallSignalHandlers();
int ReceivedSignal();  // SIGINT, SIGTERM, or 0

}  // namespace lockstep::launch
