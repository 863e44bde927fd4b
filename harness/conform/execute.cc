#include "harness/conform/execute.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <nlohmann/json.hpp>
#include <tuple>

#include "harness/conform/runs.h"
#include "harness/inputs/make.h"
#include "harness/protocol/files.h"
#include "harness/protocol/inputs.h"

namespace lockstep::conform {
namespace {

namespace fs = std::filesystem;

// The inputs of each workload are made once and linked into every request that needs them.
class InputStore {
 public:
  explicit InputStore(fs::path folder) : folder_(std::move(folder)) {}

  void PutInto(const fs::path& request_folder, protocol::Workload workload) {
    if (workload.data.kind == protocol::DataKind::kFile && workload.data.file.empty()) {
      workload.data.file = inputs::DefaultText(launch::CacheFolder());
    }
    workload.precision = protocol::Precision::kF64;  // inputs don't depend on it
    const std::string hash = protocol::Sha256(protocol::WorkloadToJson(workload).dump()).substr(0, 16);
    const fs::path made = folder_ / hash;
    if (!made_[hash]) {
      protocol::MakeFolder(made);
      protocol::WriteInputs(made, inputs::Make(workload));
      made_[hash] = true;
    }
    for (const auto& entry : fs::directory_iterator(made)) {
      const fs::path target = request_folder / entry.path().filename();
      std::error_code error;
      fs::create_hard_link(entry.path(), target, error);
      if (error) fs::copy_file(entry.path(), target, fs::copy_options::overwrite_existing);
    }
  }

 private:
  fs::path folder_;
  std::map<std::string, bool> made_;
};

struct Batch {
  std::vector<Run> runs;
  bool faulty = false;
};

// Runs by wave, fault and world size, in launches of at most `most` requests. Each shared run once.
std::vector<Batch> Batches(const Session& session, std::int64_t most) {
  using Key = std::tuple<int, bool, std::int64_t>;
  std::map<Key, std::vector<Run>> groups;
  std::map<fs::path, bool> seen;
  for (const SessionCase& each : session.cases) {
    if (!each.unsupported.empty()) continue;
    for (Run& run : RunsOf(each.spec)) {
      if (std::exchange(seen[run.folder], true)) continue;
      const bool faulty = session.fault && run.takes_fault;
      groups[{run.wave, faulty, run.request.plan.WorldSize()}].push_back(std::move(run));
    }
  }
  std::vector<Batch> batches;
  for (auto& [key, runs] : groups) {
    for (std::size_t i = 0; i < runs.size(); i += static_cast<std::size_t>(most)) {
      const std::size_t end = std::min(runs.size(), i + static_cast<std::size_t>(most));
      batches.push_back(
          {{runs.begin() + static_cast<std::ptrdiff_t>(i), runs.begin() + static_cast<std::ptrdiff_t>(end)},
           std::get<1>(key)});
    }
  }
  return batches;
}

using Ends = std::map<fs::path, launch::RunEnd>;  // by the run's folder

void LaunchAll(const protocol::Manifest& manifest, const ExecuteOptions& options, const Session& session, Ends* ends) {
  const auto begin = std::chrono::steady_clock::now();
  InputStore store(options.folder / "inputs");
  const std::vector<Batch> batches = Batches(session, manifest.requests_per_launch);
  Progress progress;
  for (const Batch& batch : batches) progress.runs += batch.runs.size();
  for (const Batch& batch : batches) {
    if (launch::ReceivedSignal() != 0) break;
    launch::Job job;
    job.world_size = batch.runs[0].request.plan.WorldSize();
    job.limits = options.limits;
    job.fault = batch.faulty ? session.fault->name : "";
    for (const Run& run : batch.runs) {
      const fs::path folder = options.folder / run.folder;
      protocol::MakeFolder(folder);
      store.PutInto(folder, run.request.workload);
      protocol::WriteRequest(folder, run.request);
      job.requests.push_back(folder);
    }
    progress.now = batch.runs[0].request.id;
    job.on_tick = [&](double) {
      progress.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
      if (options.on_progress) options.on_progress(progress);
    };
    const std::vector<launch::RunEnd> batch_ends = launch::Launch(manifest, job);
    for (std::size_t i = 0; i < batch.runs.size(); ++i) (*ends)[batch.runs[i].folder] = batch_ends.at(i);
    progress.runs_done += batch.runs.size();
  }
}

void NoteEnds(const Ends& ends, Session* session) {
  for (SessionCase& each : session->cases) {
    if (!each.unsupported.empty()) continue;
    for (const Run& run : RunsOf(each.spec)) {
      const auto end = ends.find(run.folder);
      each.runs.push_back({run.name, run.folder, end == ends.end() ? std::nullopt : std::optional(end->second)});
    }
  }
}

}  // namespace

void Execute(const protocol::Manifest& manifest, const ExecuteOptions& options, Session* session) {
  Ends ends;
  try {
    LaunchAll(manifest, options, *session, &ends);
  } catch (...) {
    NoteEnds(ends, session);
    throw;
  }
  NoteEnds(ends, session);
  session->signal = launch::ReceivedSignal();
  session->complete = session->signal == 0;
}

}  // namespace lockstep::conform
