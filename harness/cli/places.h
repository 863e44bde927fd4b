// Where things lie: suites, manifests, the output folder; and the trainers found there.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "harness/protocol/manifest.h"

namespace lockstep::cli {

// The root of Lockstep's own files: $LOCKSTEP_HOME, otherwise where it was built from.
std::filesystem::path Home();

// `said` where it isn't empty, otherwise Home()/suites.
std::filesystem::path SuitesFolder(const std::string& said);

// Every manifest of reference/adapters, by name.
std::vector<protocol::Manifest> AllTrainers();

// A name of those, or a path to a trainer.toml. BadInput names the nearest one.
protocol::Manifest FindTrainer(const std::string& name_or_file);

inline constexpr const char* kDefaultTrainer = "kokkos";
inline constexpr const char* kDefaultFolder = "lockstep-out";  // in the current folder; one folder below a use

}  // namespace lockstep::cli
