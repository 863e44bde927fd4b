#include "harness/protocol/evidence.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "harness/protocol/bad_input.h"
#include "harness/protocol/evidence_files.h"
#include "harness/protocol/files.h"
#include "harness/protocol/slice_rows.h"

namespace lockstep::protocol {
namespace {

constexpr std::uint64_t kMaxEvents = std::uint64_t{4} << 30;  // bytes: long trainings leave many lines

void CheckHello(const Hello& hello, std::int64_t rank, std::int64_t world_size, const std::string& where) {
  const auto refuse = [&](const std::string& field, std::int64_t is, std::int64_t expected) {
    if (is != expected) {
      throw BadInput(where + ": " + field, "is " + std::to_string(is), "expected " + std::to_string(expected));
    }
  };
  refuse("rank", hello.rank, rank);
  refuse("world_size", hello.world_size, world_size);
}

// Every step from the first to the last, in order, each with what is required of this rank.
void CheckSteps(const RankEvidence& evidence, const Request& request, const std::string& where) {
  const std::vector<std::int64_t> last = RanksOfStage(request.schedule, request.schedule.stages - 1);
  const bool last_stage = std::find(last.begin(), last.end(), evidence.hello.effective.at.pipeline) != last.end();
  std::int64_t next = request.checkpoint.resume_step + 1;
  for (const StepEvent& event : evidence.steps) {
    const std::string at = where + ": step " + std::to_string(event.step);
    if (event.step != next) throw BadInput(at, "is out of order", "expected step " + std::to_string(next));
    if (!event.gradient_norm) throw BadInput(at + ".gradient_norm", "is missing", "required of all ranks");
    if (!event.learning_rate) throw BadInput(at + ".learning_rate", "is missing", "required of all ranks");
    if (last_stage && !event.loss) throw BadInput(at + ".loss", "is missing", "required of ranks of the last stage");
    ++next;
  }
  if (next != request.workload.steps + 1) {
    throw BadInput(where, "ends after step " + std::to_string(next - 1),
                   "expected steps to " + std::to_string(request.workload.steps));
  }
}

// The step files that the request asks for; their content is looked at when it is needed.
void CheckStepFiles(const std::filesystem::path& folder, const Request& request) {
  const EvidenceWanted& wanted = request.evidence;
  if (!wanted.gradients && !wanted.clipped_gradients && !wanted.parameters && !wanted.optimizer_state) return;
  const std::int64_t first = request.checkpoint.resume_step;
  for (std::int64_t step = first; step <= request.workload.steps; ++step) {
    if (step != first && step % wanted.every != 0) continue;
    if (step == first && !wanted.parameters && !wanted.optimizer_state) continue;  // it holds nothing else
    if (!std::filesystem::exists(folder / StepFileName(step))) {
      throw BadInput((folder / StepFileName(step)).string(), "no such file", "expected the tensors of this step");
    }
  }
}

RankEvidence ReadRank(const std::filesystem::path& folder, std::int64_t rank, const Request& request) {
  const std::filesystem::path hello = folder / "hello.json", events = folder / "events.jsonl",
                              done = folder / "done.json";
  RankEvidence evidence;
  evidence.hello = HelloFromJson(ReadJson(hello), hello.string());
  CheckHello(evidence.hello, rank, request.plan.WorldSize(), hello.string());
  evidence.done = DoneFromJson(ReadJson(done), done.string());
  if (evidence.done->error) throw BadInput(done.string() + ": error", "the rank gave up: " + *evidence.done->error);
  if (evidence.done->steps != request.workload.steps) {
    throw BadInput(done.string() + ": steps", "is " + std::to_string(evidence.done->steps),
                   "expected " + std::to_string(request.workload.steps));
  }
  EventsFromText(ReadTextFile(events, kMaxEvents), events.string(), evidence);
  CheckSteps(evidence, request, events.string());
  CheckStepFiles(folder, request);
  return evidence;
}

// A rank more than the plan has is as wrong as one too few.
void CheckNoFurtherRank(const std::filesystem::path& request_folder, std::int64_t world_size) {
  std::set<std::filesystem::path> expected;
  for (std::int64_t rank = 0; rank < world_size; ++rank) expected.insert(RankFolder(request_folder, rank).filename());
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(request_folder / "evidence", error)) {
    const std::filesystem::path name = entry.path().filename();
    if (name.string().starts_with("rank_") && !expected.contains(name)) {
      throw BadInput(entry.path().string(), "no rank of this plan",
                     "expected rank_00000 to " + expected.rbegin()->string());
    }
  }
}

// Copies a part into `whole` where nothing stands yet; counts what it filled.
std::int64_t FillUncovered(const std::vector<double>& part, const Slice& slice, std::vector<double>& whole,
                           std::vector<bool>& covered) {
  std::int64_t filled = 0;
  ForEachRow(slice, [&](std::int64_t to, std::int64_t from, std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) {
      const auto target = static_cast<std::size_t>(to + i);
      if (covered[target]) continue;
      covered[target] = true;
      whole[target] = part[static_cast<std::size_t>(from + i)];
      ++filled;
    }
  });
  return filled;
}

}  // namespace

std::vector<Timeline> ReadTimelines(const std::filesystem::path& request_folder, const Request& request) {
  std::vector<Timeline> timelines;
  for (std::int64_t rank = 0; rank < request.plan.WorldSize(); ++rank) {
    const std::filesystem::path file = RankFolder(request_folder, rank) / kTimelineFile;
    if (!std::filesystem::exists(file)) {
      throw BadInput(file.string(), "is not there",
                     request.evidence.timeline ? "the trainer left no timeline of this rank"
                                               : "the request says evidence.timeline = false");
    }
    timelines.push_back(ReadTimeline(file));
  }
  return timelines;
}

RunEvidence RunEvidence::Read(const std::filesystem::path& request_folder, const Request& request) {
  RunEvidence run;
  run.folder_ = request_folder;
  run.request_ = request;
  for (std::int64_t rank = 0; rank < request.plan.WorldSize(); ++rank) {
    run.ranks_.push_back(ReadRank(RankFolder(request_folder, rank), rank, request));
  }
  CheckNoFurtherRank(request_folder, request.plan.WorldSize());
  return run;
}

const SafetensorsFile& RunEvidence::Step(std::int64_t rank, std::int64_t step) const {
  const auto found = files_.find({rank, step});
  if (found != files_.end()) return *found->second;
  auto file = std::make_shared<SafetensorsFile>(SafetensorsFile::Open(RankFolder(folder_, rank) / StepFileName(step)));
  return *files_.emplace(std::pair(rank, step), std::move(file)).first->second;
}

Slice RunEvidence::SliceOf(std::int64_t rank, std::int64_t step, const std::string& tensor) const {
  const SafetensorsFile& file = Step(rank, step);
  const std::string where = file.name() + ": __metadata__." + tensor;
  const auto found = file.metadata().find(tensor);
  if (found == file.metadata().end()) throw BadInput(where, "is missing", "expected the tensor's slice");
  return SliceFromMetadata(found->second, file.At(tensor).shape, where);
}

std::vector<double> RunEvidence::Gather(std::int64_t step, const std::string& tensor, const Shape& global_shape) const {
  const std::int64_t elements = ElementCount(global_shape);
  std::vector<double> whole(static_cast<std::size_t>(elements));
  std::vector<bool> covered(whole.size(), false);
  std::int64_t filled = 0;
  for (std::int64_t rank = 0; rank < request_.plan.WorldSize(); ++rank) {  // ascending: the lowest rank's counts
    const SafetensorsFile& file = Step(rank, step);
    if (!file.Contains(tensor)) continue;
    const Slice slice = SliceOf(rank, step, tensor);
    const std::string where = file.name() + ": " + tensor;
    if (slice.global_shape != global_shape) {
      throw BadInput(where, "is a slice of " + ToString(slice.global_shape), "expected " + ToString(global_shape));
    }
    const DType dtype = file.At(tensor).dtype;
    if (dtype != DType::kF64 && dtype != DType::kF32 && dtype != DType::kF16 && dtype != DType::kBF16) {
      throw BadInput(where, "is " + std::string(NameOf(dtype)), "expected F64, F32, F16 or BF16");
    }
    if (filled < elements) filled += FillUncovered(file.Load(tensor).ToDoubles(), slice, whole, covered);
  }
  if (filled != elements) {
    const auto hole = std::find(covered.begin(), covered.end(), false) - covered.begin();
    throw BadInput((folder_ / "evidence").string() + ": step " + std::to_string(step) + ": " + tensor,
                   "no rank holds element " + std::to_string(hole), "expected all of " + ToString(global_shape));
  }
  return whole;
}

std::vector<std::string> RunEvidence::TensorNames(std::int64_t step) const {
  std::set<std::string> names;
  for (std::int64_t rank = 0; rank < request_.plan.WorldSize(); ++rank) {
    for (const auto& [name, entry] : Step(rank, step).entries()) names.insert(name);
  }
  return {names.begin(), names.end()};
}

double RunEvidence::Loss(std::int64_t step) const {
  for (const RankEvidence& rank : ranks_) {
    for (const StepEvent& event : rank.steps) {
      if (event.step == step && event.loss) return *event.loss;
    }
  }
  throw BadInput((folder_ / "evidence").string() + ": step " + std::to_string(step) + ".loss", "is missing");
}

}  // namespace lockstep::protocol
