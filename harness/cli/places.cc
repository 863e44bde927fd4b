#include "harness/cli/places.h"

#include <algorithm>
#include <cstdlib>

#include "harness/protocol/bad_input.h"
#include "harness/protocol/fields.h"

namespace lockstep::cli {

std::filesystem::path Home() {
  const char* said = std::getenv("LOCKSTEP_HOME");
  return said != nullptr && *said != '\0' ? said : LOCKSTEP_SOURCE_DIR;
}

std::filesystem::path SuitesFolder(const std::string& said) {
  return said.empty() ? Home() / "suites" : std::filesystem::path(said);
}

std::vector<protocol::Manifest> AllTrainers() {
  const std::filesystem::path folder = Home() / "reference" / "adapters";
  std::vector<protocol::Manifest> trainers;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const std::filesystem::path file = entry.path() / "trainer.toml";
    if (std::filesystem::exists(file)) trainers.push_back(protocol::ReadManifest(file));
  }
  if (trainers.empty()) {
    throw protocol::BadInput(folder.string(), "holds no trainer",
                             "set LOCKSTEP_HOME, or give --trainer a trainer.toml");
  }
  std::sort(trainers.begin(), trainers.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return trainers;
}

protocol::Manifest FindTrainer(const std::string& name_or_file) {
  if (name_or_file.ends_with(".toml") || name_or_file.find('/') != std::string::npos) {
    return protocol::ReadManifest(name_or_file);
  }
  std::vector<std::string> names;
  for (const protocol::Manifest& trainer : AllTrainers()) {
    if (trainer.name == name_or_file) return trainer;
    names.push_back(trainer.name);
  }
  const std::string near = protocol::Nearest(name_or_file, names);
  throw protocol::BadInput(
      "--trainer", "no trainer is called '" + name_or_file + "'",
      near.empty() ? "see `lockstep list trainers`, or name a trainer.toml" : "did you mean '" + near + "'?");
}

}  // namespace lockstep::cli
