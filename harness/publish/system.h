// Where and by what a record was made: tool, machine, environment, names and times of a run.
//
// What can't be found out is left out, never guessed; nothing here throws. Of the environment only the names in an
// allow-list are kept, so that no secret gets into a record by accident.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "harness/protocol/evidence.h"

namespace lockstep::publish {

nlohmann::json Tool();  // name, version, revision, dirty (of this build)

// host, os, kernel, cpu {model, cores, memory_bytes} of the machine that this is called on: call it when a run is made.
nlohmann::json Machine();

// `machine`, and what the ranks said of theirs: devices, mpi, kokkos and other libraries. Looks at nothing else, so
// that a run judged elsewhere, or later, keeps the machine that it was made on. `hellos` may be empty.
nlohmann::json System(const nlohmann::json& machine, const std::vector<protocol::Hello>& hellos);

bool OnVirtualDevices(const nlohmann::json& system);  // of a record; false where it says nothing of devices

nlohmann::json Environment();  // allow-listed variables that are set

std::string NewRunId();  // "20250131T235959Z-1a2b3c4d"
std::string IsoNow();    // "2025-01-31T23:59:59Z"
std::string IsoTime(std::int64_t unix_seconds);
std::int64_t UnixTime(const std::string& iso);  // of what IsoTime writes; 0 where it can't be read

}  // namespace lockstep::publish
