#include "reference/trainer/rank_main.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <exception>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "harness/protocol/bad_input.h"
#include "harness/protocol/evidence.h"
#include "harness/protocol/inputs.h"
#include "harness/protocol/manifest.h"
#include "harness/protocol/request.h"
#include "reference/trainer/capabilities.h"
#include "reference/trainer/training.h"

namespace lockstep::trainer {
namespace {

constexpr int kBadInput = 2;
constexpr std::chrono::seconds kPeerDeadline(60);

struct Options {
  std::vector<std::string> requests;
  bool describe = false;
  std::int64_t memory_bytes = 0;
};

std::string OneLine(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

// Exit code when the command line ends the program, nullopt to go on.
std::optional<int> ParseOptions(int argc, char** argv, const Backend& backend, Options& options) {
  CLI::App app{"Trains as request folders say and leaves evidence in them (harness/protocol/PROTOCOL.md).\n" +
               backend.description};
  app.add_option("requests", options.requests, "Folders with request.json, one after another");
  app.add_flag("--describe", options.describe, "Print what this trainer can do, as JSON");
  app.add_option("--memory", options.memory_bytes, "Bytes of memory that a rank's device may use; 0: no cap")
      ->envname("LOCKSTEP_MEMORY_BYTES")
      ->check(CLI::NonNegativeNumber);
  app.set_version_flag("--version", LOCKSTEP_VERSION);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    std::fprintf(stderr, "%s; see --help\n", OneLine(error.what()).c_str());
    return kBadInput;
  }
  if (options.describe) {
    std::puts(protocol::CapabilitiesToJson(Describe(backend.name)).dump(2).c_str());
    return 0;
  }
  if (!options.requests.empty()) return std::nullopt;
  std::fputs("requests: none given; expected a request folder (see --help)\n", stderr);
  return kBadInput;
}

struct Prepared {
  protocol::Request request;
  protocol::Inputs inputs;
};

Prepared Prepare(const std::filesystem::path& folder, const device::Communicator& world, const std::string& name) {
  const std::string where = (folder / "request.json").string();
  Prepared prepared;
  prepared.request = protocol::ReadRequest(folder);
  if (prepared.request.plan.WorldSize() != world.Size()) {
    throw protocol::BadInput(where + ": plan", "is for " + std::to_string(prepared.request.plan.WorldSize()) + " ranks",
                             std::to_string(world.Size()) + " were launched");
  }
  Refuse(prepared.request, Describe(name), where);
  prepared.inputs = protocol::ReadInputs(folder, prepared.request.workload);
  return prepared;
}

// Runs one request; true when done, false when it was refused (by all ranks together, said by the first).
bool RunRequest(const std::filesystem::path& folder, device::Communicator& world, const Backend& backend,
                const Options& options, Seams& seams) {
  std::optional<Prepared> prepared;
  std::string problem;
  try {
    prepared = Prepare(folder, world, backend.name);
  } catch (const protocol::BadInput& error) {
    problem = OneLine(error.what());
  }
  const std::vector<std::string> problems = world.GatherOnHost(problem);
  const auto first = std::find_if(problems.begin(), problems.end(), [](const std::string& p) { return !p.empty(); });
  if (first != problems.end()) {
    if (world.Rank() == 0) std::fprintf(stderr, "%s\n", first->c_str());
    return false;
  }
  std::unique_ptr<device::Device> device;
  std::unique_ptr<Training> training;
  try {
    device = backend.make_device(options.memory_bytes, world.Rank());
    training =
        std::make_unique<Training>(*device, world, seams, std::move(prepared->request), std::move(prepared->inputs),
                                   folder, TrainerName{backend.name, LOCKSTEP_VERSION});
    training->Run();
  } catch (const std::exception& error) {
    const std::string line = OneLine(error.what());
    std::fprintf(stderr, "rank %d: %s: %s\n", world.Rank(), folder.c_str(), line.c_str());
    if (training) {
      training->GiveUp(line);
    } else {
      protocol::Done done;
      done.error = line;
      protocol::EvidenceWriter(folder, world.Rank()).Write(done);
    }
    backend.abort(dynamic_cast<const protocol::BadInput*>(&error) != nullptr ? kBadInput : 1);
    throw;
  }
  return true;
}

}  // namespace

int RunTrainer(int argc, char** argv, const Backend& backend, Seams& seams) {
  Options options;
  if (const auto code = ParseOptions(argc, argv, backend, options)) return *code;
  std::unique_ptr<device::Communicator> world;
  try {
    world = backend.make_world(&argc, &argv, kPeerDeadline);
  } catch (const std::exception& error) {  // no device for this rank, a launcher that is not MPI's
    std::fprintf(stderr, "%s\n", OneLine(error.what()).c_str());
    backend.abort(1);
    return 1;
  }
  for (const std::string& folder : options.requests) {
    if (!RunRequest(folder, *world, backend, options, seams)) return kBadInput;
  }
  return 0;
}

}  // namespace lockstep::trainer
