// Profiles, and finding cases and profiles by name.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "harness/conform/case.h"
#include "harness/protocol/bad_input.h"
#include "harness/protocol/fields.h"
#include "harness/protocol/files.h"

namespace lockstep::conform {
namespace {

using protocol::BadInput;

std::vector<std::filesystem::path> TomlFiles(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    if (entry.path().extension() == ".toml") files.push_back(entry.path());
  }
  if (error || files.empty()) throw BadInput(folder.string(), "holds no .toml file", "is --suites right?");
  std::sort(files.begin(), files.end());
  return files;
}

std::vector<std::string> Stems(const std::vector<std::filesystem::path>& files) {
  std::vector<std::string> stems;
  for (const auto& file : files) stems.push_back(file.stem());
  return stems;
}

std::filesystem::path CasesFolder(const std::filesystem::path& suites) { return suites / "conformance" / "cases"; }
std::filesystem::path ProfilesFolder(const std::filesystem::path& suites) {
  return suites / "conformance" / "profiles";
}

[[noreturn]] void RefuseName(const std::string& where, const std::string& what, const std::string& name,
                             const std::vector<std::string>& names, const std::string& list) {
  const std::string near = protocol::Nearest(name, names);
  throw BadInput(where, "no " + what + " is called '" + name + "'",
                 near.empty() ? "see `lockstep list " + list + "`" : "did you mean '" + near + "'?");
}

}  // namespace

Profile ReadProfile(const std::filesystem::path& file) {
  const nlohmann::json value = protocol::ReadToml(file);
  protocol::Fields fields(value, file.filename());
  Profile profile;
  profile.name = fields.String("name");
  if (profile.name != file.stem()) {
    fields.Refuse("name", "is '" + profile.name + "'", "expected the file's name, '" + file.stem().string() + "'");
  }
  profile.version = static_cast<int>(fields.Int("version", 1, 1 << 20));
  profile.summary = fields.String("summary");
  profile.cases = fields.Strings("cases", {});
  fields.Done();
  if (profile.cases.empty()) fields.Refuse("cases", "is missing or empty", "expected at least one case");
  std::set<std::string> seen;
  for (const std::string& id : profile.cases) {
    if (!seen.insert(id).second) fields.Refuse("cases", "'" + id + "' stands twice", "");
  }
  return profile;
}

std::vector<Case> CasesOf(const Profile& profile, const std::filesystem::path& suites) {
  const std::vector<std::string> known = Stems(TomlFiles(CasesFolder(suites)));
  std::vector<Case> cases;
  for (const std::string& id : profile.cases) {
    if (std::find(known.begin(), known.end(), id) == known.end()) {
      RefuseName("profile '" + profile.name + "': cases", "case", id, known, "cases");
    }
    const std::vector<Case> file = ReadCaseFile(CasesFolder(suites) / (id + ".toml"));
    cases.insert(cases.end(), file.begin(), file.end());
  }
  return cases;
}

std::vector<Profile> AllProfiles(const std::filesystem::path& suites) {
  std::vector<Profile> profiles;
  for (const auto& file : TomlFiles(ProfilesFolder(suites))) profiles.push_back(ReadProfile(file));
  return profiles;
}

std::vector<Case> AllCases(const std::filesystem::path& suites) {
  std::vector<Case> cases;
  for (const auto& file : TomlFiles(CasesFolder(suites))) {
    const std::vector<Case> more = ReadCaseFile(file);
    cases.insert(cases.end(), more.begin(), more.end());
  }
  return cases;
}

Profile FindProfile(const std::string& name, const std::filesystem::path& suites) {
  const std::vector<std::string> known = Stems(TomlFiles(ProfilesFolder(suites)));
  if (std::find(known.begin(), known.end(), name) == known.end()) {
    RefuseName("--profile", "profile", name, known, "profiles");
  }
  return ReadProfile(ProfilesFolder(suites) / (name + ".toml"));
}

std::vector<Case> MatchCases(const std::vector<Case>& cases, const std::string& id) {
  const auto matches = [&](const Case& each) {
    if (id.ends_with('*')) return each.id.starts_with(id.substr(0, id.size() - 1));
    return each.id == id || each.id.starts_with(id + "/");
  };
  std::vector<Case> found;
  std::copy_if(cases.begin(), cases.end(), std::back_inserter(found), matches);
  if (!found.empty() || id.ends_with('*')) return found;
  const std::size_t slash = id.find('/');
  std::vector<std::string> names;  // of the same kind as what was asked for
  for (const Case& each : cases) {
    names.push_back(slash == std::string::npos ? each.id.substr(0, each.id.find('/')) : each.id);
  }
  RefuseName("--case", "case", id, names, "cases");
}

}  // namespace lockstep::conform
