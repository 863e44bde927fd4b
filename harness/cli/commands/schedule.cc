// lockstep schedule: pipeline schedules shown, proved, simulated and converted, without a trainer.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "harness/cli/numbers.h"
#include "harness/cli/schedule_report.h"
#include "harness/cli/schedule_source.h"
#include "harness/cli/subcommand.h"
#include "harness/cli/terminal.h"
#include "harness/protocol/bad_input.h"
#include "harness/protocol/files.h"
#include "harness/schedule/draw.h"
#include "harness/schedule/lower.h"
#include "harness/schedule/simulate.h"
#include "harness/schedule/verify.h"

namespace lockstep::cli {
namespace {

using protocol::BadInput;
using schedule::Document;

constexpr int kRefused = 1;

struct Arguments {
  ScheduleSource source;
  std::string svg, out, to, color = "auto";
  schedule::Window window;
  std::int64_t columns = 0;
  bool as_json = false, with_transfers = false, compute_only = false;
};

// The first thing wrong with a schedule, which is then said where people see it.
bool Refused(const Arguments& arguments, const Document& document) {
  const auto problem = schedule::Verify(document.schedule, ChannelsOf(document));
  if (!problem) return false;
  std::fprintf(stderr, "lockstep: %s\n",
               protocol::OneLine(arguments.source.name_or_file + ": refused: " + ToString(*problem), 2000).c_str());
  return true;
}

schedule::Simulation SimulationOf(const Document& document) {
  return schedule::Simulate(document.schedule, document.costs, document.channels.value_or(schedule::Channels()));
}

void Print(const std::string& text) { std::fwrite(text.data(), 1, text.size(), stdout); }

// --- show
// -------------------------------------------------------------------------------------------------------------

int Show(const Arguments& arguments) {
  const Document document = Load(arguments.source);
  if (Refused(arguments, document)) return kRefused;
  if (arguments.window.to != 0 && arguments.window.to <= arguments.window.from) {
    throw BadInput("--to", "is " + std::to_string(arguments.window.to), "expected a tick after --from");
  }
  const schedule::Simulation simulation = SimulationOf(document);
  if (arguments.window.from >= simulation.makespan && simulation.makespan > 0) {
    throw BadInput("--from", "is " + std::to_string(arguments.window.from),
                   "the schedule ends at tick " + std::to_string(simulation.makespan));
  }
  const schedule::Picture picture = schedule::PictureOf(document.schedule, simulation);
  if (!arguments.svg.empty()) {
    const std::string svg = schedule::DrawSvg(picture, arguments.window);
    if (arguments.svg == "-") {
      Print(svg);
    } else {
      protocol::WriteFileWhole(arguments.svg, svg);
      std::printf("%s: %zu ranks, %lld ticks\n", arguments.svg.c_str(), picture.ranks,
                  static_cast<long long>(simulation.makespan));
    }
    return 0;
  }
  schedule::TerminalOptions options;
  const std::string when = Chosen("--color", arguments.color, {"auto", "always", "never"});
  options.color = when == "always" || (when == "auto" && WantsColor(stdout));
  options.columns = arguments.columns > 0 ? arguments.columns : Columns(stdout);
  options.window = arguments.window;
  Print(schedule::DrawForTerminal(picture, options));
  return 0;
}

void DeclareShow(CLI::App* app, Arguments* arguments) {
  AddShapeOptions(app, &arguments->source);
  app->add_option("--svg", arguments->svg, "Write the drawing as SVG to this file, or to standard output if -")
      ->type_name("FILE");
  app->add_option("--from", arguments->window.from, "First tick drawn")->check(NumberFrom(0, 1e15))->type_name("TICK");
  app->add_option("--to", arguments->window.to, "Last tick drawn; the end if absent")
      ->check(NumberAbove(0, 1e15))
      ->type_name("TICK");
  app->add_option("--columns", arguments->columns, "Width in characters; the terminal's if absent")
      ->check(WholeNumber(20, 100'000))
      ->type_name("N");
  app->add_option("--color", arguments->color,
                  "auto, always or never; auto is on a terminal only, unless NO_COLOR is set")
      ->type_name("WHEN")
      ->capture_default_str();
  AddCostOptions(app, &arguments->source);
}

// --- verify
// -----------------------------------------------------------------------------------------------------------

// The kinds of channels that a refused schedule does run on, for people who have those.
std::string RunsOn(const protocol::Schedule& schedule) {
  std::string kinds;
  for (const schedule::Channels& each : schedule::EveryKindOfChannels()) {
    if (!schedule::Verify(schedule, {each})) kinds += (kinds.empty() ? "" : ", ") + ToString(each);
  }
  return kinds;
}

int Verify(const Arguments& arguments) {
  const Document document = Load(arguments.source);
  const protocol::Schedule& subject = document.schedule;
  std::vector<schedule::Channels> channels = ChannelsOf(document);
  auto problem = schedule::Verify(subject, channels);
  const auto is_transfer = [](const protocol::Action& action) { return schedule::IsTransfer(action.kind); };
  const bool bare = std::none_of(subject.ranks.begin(), subject.ranks.end(),
                                 [&](const auto& line) { return std::any_of(line.begin(), line.end(), is_transfer); });
  // What has no transfers is proved with those that an executor will add.
  if (!problem && bare) problem = schedule::Verify(schedule::WithTransfers(subject), channels);
  std::string kinds;
  for (const schedule::Channels& each : channels) kinds += (kinds.empty() ? "" : ", ") + ToString(each);
  const std::string others = problem ? RunsOn(subject) : "";
  if (arguments.as_json) {
    nlohmann::json verdict{{"schedule", subject.name}, {"holds", !problem}, {"channels", kinds}};
    if (problem) {
      verdict["problem"] = {{"rank", problem->rank},
                            {"position", problem->position},
                            {"action", problem->action},
                            {"what", problem->what}};
      verdict["runs_on"] = others;
    }
    std::printf("%s\n", verdict.dump(2).c_str());
  } else if (problem) {
    std::printf("%s\n",
                protocol::OneLine(arguments.source.name_or_file + ": refused: " + ToString(*problem), 4000).c_str());
    if (!others.empty()) std::printf("It does run on these channels: %s (--channels).\n", others.c_str());
  } else {
    std::printf("%s: holds: %s; every dependency met, no cycle of waits on channels: %s%s\n",
                arguments.source.name_or_file.c_str(), ShapeText(subject).c_str(), kinds.c_str(),
                bare ? " (with the transfers that are added)" : "");
  }
  return problem ? kRefused : 0;
}

void DeclareVerify(CLI::App* app, Arguments* arguments) {
  AddShapeOptions(app, &arguments->source);
  app->add_flag("--json", arguments->as_json, "As JSON");
}

// --- simulate
// ---------------------------------------------------------------------------------------------------------

int Simulate(const Arguments& arguments) {
  const Document document = Load(arguments.source);
  if (Refused(arguments, document)) return kRefused;
  const schedule::Simulation simulation = SimulationOf(document);
  const auto form = ClosedFormOf(arguments.source, document);
  Print(arguments.as_json ? SimulationJson(document, simulation, form).dump(2) + "\n"
                          : SimulationTable(document, simulation, form));
  return 0;
}

void DeclareSimulate(CLI::App* app, Arguments* arguments) {
  AddShapeOptions(app, &arguments->source);
  app->add_flag("--json", arguments->as_json, "As JSON, with all ranks and the whole critical path");
  AddCostOptions(app, &arguments->source);
}

// --- convert
// ----------------------------------------------------------------------------------------------------------

int Convert(const Arguments& arguments) {
  const bool to_torch = Chosen("--to", arguments.to, {"torch", "lockstep"}) == "torch";
  Document document = Load(arguments.source);
  if (Refused(arguments, document)) return kRefused;
  if (arguments.with_transfers || arguments.compute_only) {
    document.schedule = schedule::ComputeOnly(document.schedule);
    if (arguments.with_transfers) document.schedule = schedule::WithTransfers(document.schedule);
  }
  const std::string text =
      to_torch ? schedule::ToTorch(document.schedule, arguments.source.name_or_file) : schedule::ToText(document);
  if (arguments.out.empty()) {
    Print(text);
  } else {
    protocol::WriteFileWhole(arguments.out, text);
  }
  return 0;
}

void DeclareConvert(CLI::App* app, Arguments* arguments) {
  AddShapeOptions(app, &arguments->source);
  app->add_option("--to", arguments->to, "torch (the CSV of torch.distributed.pipelining) or lockstep")
      ->required()
      ->type_name("FORM");
  app->add_option("--out", arguments->out, "File to write; standard output if absent")->type_name("FILE");
  auto* const with =
      app->add_flag("--with-transfers", arguments->with_transfers,
                    "With SEND and RECV where stages on different ranks need them (torch: compute_comms)");
  app->add_flag("--compute-only", arguments->compute_only, "F, B, I, W and fused pairs alone (torch: compute_only)")
      ->excludes(with);
  AddCostOptions(app, &arguments->source);
}

// ----------------------------------------------------------------------------------------------------------------------

struct Verb {
  const char* name;
  const char* sentence;
  const char* examples;
  void (*declare)(CLI::App*, Arguments*);
  int (*run)(const Arguments&);
};

const std::vector<Verb> kVerbs{
    {"show", "Draw a schedule, in the terminal or as SVG.",
     "  lockstep schedule show 1f1b -p 4 -m 8\n"
     "  lockstep schedule show zb_v -p 4 -m 8 --svg zb_v.svg\n"
     "  lockstep schedule show exported.csv --forward 10 --input 11 --weight 9    torch's CSV, with measured times",
     DeclareShow, Show},
    {"verify",
     "Prove that a schedule computes everything once, in order, and never waits for ever; exits with 1 if not.",
     "  lockstep schedule verify exported.csv                         on every kind of channels\n"
     "  lockstep schedule verify exported.csv --channels unbounded    where sends never wait\n"
     "  lockstep schedule verify dualpipe -p 8 -m 16",
     DeclareVerify, Verify},
    {"simulate", "Say when a schedule ends, where its ranks idle and what they hold, in exact integer time.",
     "  lockstep schedule simulate zb_h1 -p 8 -m 32\n"
     "  lockstep schedule simulate 1f1b -p 4 -m 8 --forward 10,10,10,14 --input 11 --weight 9\n"
     "  lockstep schedule simulate 1f1b -p 4 -m 8 --forward 100 --message-bytes 4000000 --bandwidth 25000 --latency 5",
     DeclareSimulate, Simulate},
    {"convert", "Write a schedule in Lockstep's form or as torch's CSV, with transfers or without.",
     "  lockstep schedule convert zb_v -p 4 -m 8 --to torch --out zb_v.csv       for "
     "_PipelineScheduleRuntime._load_csv\n"
     "  lockstep schedule convert 1f1b -p 4 -m 8 --to torch --with-transfers     format=\"compute_comms\"\n"
     "  lockstep schedule convert exported.csv --to lockstep --forward 10 --out exported.schedule",
     DeclareConvert, Convert}};

std::function<int()> Declare(CLI::App& app, const std::vector<std::string>&) {
  app.require_subcommand(1);
  std::vector<std::pair<const CLI::App*, std::function<int()>>> runs;
  for (const Verb& verb : kVerbs) {
    CLI::App* const sub = app.add_subcommand(verb.name, verb.sentence);
    sub->footer(std::string("Examples:\n") + verb.examples);
    const auto arguments = std::make_shared<Arguments>();
    verb.declare(sub, arguments.get());
    runs.emplace_back(sub, [arguments, run = verb.run] { return run(*arguments); });
  }
  return [runs] {
    const auto chosen = std::find_if(runs.begin(), runs.end(), [](const auto& each) { return each.first->parsed(); });
    return chosen->second();
  };
}

}  // namespace

extern const Subcommand command_schedule;
const Subcommand command_schedule{
    "schedule", "Show, prove, simulate and convert pipeline schedules.",
    "  lockstep list schedules                       the names\n"
    "  lockstep schedule show 1f1b -p 4 -m 8         draws it\n"
    "  lockstep schedule simulate zb_h1 -p 4 -m 8    idle time and memory beside the paper's formula\n"
    "  lockstep schedule verify exported.csv         proves a schedule of torch.distributed.pipelining\n"
    "  lockstep schedule show --help                 each has examples",
    Declare};

}  // namespace lockstep::cli
