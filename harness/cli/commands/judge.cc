// lockstep judge: verdicts from a folder of evidence, without a trainer.
#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "harness/cli/places.h"
#include "harness/cli/subcommand.h"
#include "harness/cli/terminal.h"
#include "harness/conform/conform.h"
#include "harness/publish/publish.h"

namespace lockstep::cli {
namespace {

int Run(const std::string& folder) {
  const conform::Session session = conform::ReadSession(folder);
  LiveLine live(stderr);
  const protocol::Record record = conform::JudgeSession(
      session, folder, [&](const protocol::CaseResult& result) { live.Show("judging; " + result.id); });
  publish::WriteAll(folder, record);
  live.Clear();
  std::printf("%s", publish::Table(record, WantsColor(stdout)).c_str());
  return record.exit_code;
}

std::function<int()> Declare(CLI::App& app, const std::vector<std::string>&) {
  const auto folder = std::make_shared<std::string>(std::string(kDefaultFolder) + "/conform");
  app.add_option("folder", *folder, "Output folder of an earlier `lockstep conform`")->capture_default_str();
  return [folder] { return Run(*folder); };
}

}  // namespace

extern const Subcommand command_judge;
const Subcommand command_judge{
    "judge", "Judge the evidence of an earlier run again; no trainer is needed.",
    "  lockstep judge                       what `lockstep conform` left in its default folder\n"
    "  lockstep judge results/last-week",
    Declare};

}  // namespace lockstep::cli
