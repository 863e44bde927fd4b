// lockstep list: what there is, one name a line, with a sentence on each.
#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "harness/checks/check.h"
#include "harness/cli/places.h"
#include "harness/cli/subcommand.h"
#include "harness/conform/case.h"
#include "harness/conform/fault.h"
#include "harness/protocol/bad_input.h"
#include "harness/protocol/fields.h"
#include "harness/schedule/generate.h"

namespace lockstep::cli {
namespace {

using nlohmann::json;

struct Arguments {
  std::string kind, trainer, suites;
  bool as_json = false;
};

// Rows hold "name" and "sentence", and whatever else --json should tell.
json Cases(const Arguments& arguments) {
  json rows = json::array();
  for (const conform::Case& each : conform::AllCases(SuitesFolder(arguments.suites))) {
    rows.push_back({{"name", each.id},
                    {"sentence", each.claim},
                    {"plan", protocol::ToString(each.plan)},
                    {"world_size", each.plan.WorldSize()},
                    {"checks", each.checks}});
  }
  return rows;
}

json Profiles(const Arguments& arguments) {
  json rows = json::array();
  const std::filesystem::path suites = SuitesFolder(arguments.suites);
  for (const conform::Profile& each : conform::AllProfiles(suites)) {
    const std::size_t cases = conform::CasesOf(each, suites).size();
    rows.push_back({{"name", each.name},
                    {"sentence", each.summary + " (" + std::to_string(cases) + " cases)"},
                    {"version", each.version},
                    {"cases", each.cases}});
  }
  return rows;
}

json Checks(const Arguments&) {
  json rows = json::array();
  for (const checks::Check* each : checks::AllChecks()) {
    rows.push_back(
        {{"name", each->name}, {"sentence", each->sentence}, {"class", each->equality_class}, {"runs", each->runs}});
  }
  return rows;
}

json Faults(const Arguments& arguments) {
  json rows = json::array();
  for (const protocol::Fault& each :
       conform::ListFaults(FindTrainer(arguments.trainer.empty() ? kDefaultTrainer : arguments.trainer))) {
    rows.push_back({{"name", each.name},
                    {"sentence", each.mechanism + " Must be named: " + protocol::ExpectationWords(each)},
                    {"kind", each.kind},
                    {"found_by", each.found_by},
                    {"mechanism", each.mechanism},
                    {"source", each.source},
                    {"case", each.workload_case},
                    {"check", each.check},
                    {"step", each.step},
                    {"phase", each.phase},
                    {"tensor", each.tensor},
                    {"diagnosis", each.diagnosis}});
  }
  return rows;
}

json Trainers(const Arguments&) {
  json rows = json::array();
  for (const protocol::Manifest& each : AllTrainers()) {
    rows.push_back(
        {{"name", each.name}, {"sentence", each.summary}, {"manifest", each.file.string()}, {"setup", each.setup}});
  }
  return rows;
}

json Schedules(const Arguments&) {
  json rows = json::array();
  for (const schedule::Generator* each : schedule::AllGenerators()) {
    rows.push_back({{"name", each->name},
                    {"sentence", each->sentence},
                    {"min_chunks", each->min_chunks},
                    {"max_chunks", each->max_chunks}});
  }
  return rows;
}

const std::vector<std::pair<std::string, json (*)(const Arguments&)>> kKinds{
    {"cases", Cases},   {"profiles", Profiles}, {"checks", Checks},
    {"faults", Faults}, {"trainers", Trainers}, {"schedules", Schedules}};

void RefuseWhatItHasNoUseFor(const Arguments& arguments) {
  const std::string& kind = arguments.kind;
  if (!arguments.trainer.empty() && kind != "faults") {
    throw protocol::BadInput("--trainer", "says whose faults to list", "leave it out for " + kind);
  }
  if (!arguments.suites.empty() && kind != "cases" && kind != "profiles") {
    throw protocol::BadInput("--suites", "says where cases and profiles lie", "leave it out for " + kind);
  }
}

int Run(const Arguments& arguments) {
  std::vector<std::string> names;
  for (const auto& [name, rows_of] : kKinds) {
    names.push_back(name);
    if (name != arguments.kind) continue;
    RefuseWhatItHasNoUseFor(arguments);
    const json rows = rows_of(arguments);
    if (arguments.as_json) {
      std::printf("%s\n", rows.dump(2).c_str());
      return 0;
    }
    std::size_t width = 0;
    for (const json& row : rows) width = std::max(width, row["name"].get<std::string>().size());
    for (const json& row : rows) {
      std::printf("%-*s  %s\n", static_cast<int>(width), row["name"].get<std::string>().c_str(),
                  row["sentence"].get<std::string>().c_str());
    }
    return 0;
  }
  const std::string near = protocol::Nearest(arguments.kind, names);
  throw protocol::BadInput("list", "there is no list of '" + arguments.kind + "'",
                           near.empty() ? "expected cases, profiles, checks, faults, trainers or schedules"
                                        : "did you mean '" + near + "'?");
}

std::function<int()> Declare(CLI::App& app, const std::vector<std::string>&) {
  const auto arguments = std::make_shared<Arguments>();
  app.add_option("kind", arguments->kind, "cases, profiles, checks, faults, trainers or schedules")->required();
  app.add_flag("--json", arguments->as_json, "As JSON, with more on each");
  app.add_option("--trainer", arguments->trainer, "Whose faults; kokkos if absent");
  app.add_option("--suites", arguments->suites, "Folder of conformance cases and profiles, in place of Lockstep's own");
  return [arguments] { return Run(*arguments); };
}

}  // namespace

extern const Subcommand command_list;
const Subcommand command_list{"list", "List cases, profiles, checks, faults, trainers or schedules.",
                              "  lockstep list profiles\n"
                              "  lockstep list faults --json\n"
                              "  lockstep list cases | grep uneven",
                              Declare};

}  // namespace lockstep::cli
