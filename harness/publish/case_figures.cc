#include "harness/publish/case_figures.h"

#include <cmath>
#include <map>

#include "harness/publish/words.h"

namespace lockstep::publish {
namespace {

using nlohmann::json;
using protocol::CaseResult;

double NumberOr(const json& object, const char* key, double otherwise) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number() ? found->get<double>() : otherwise;
}

std::int64_t IntOr(const json& object, const char* key, std::int64_t otherwise) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number_integer() ? found->get<std::int64_t>() : otherwise;
}

const json* FindMeasure(const CaseResult& result, const std::string& name) {
  if (!result.performance.is_array()) return nullptr;
  for (const json& measure : result.performance) {
    if (measure.is_object() && measure.contains("name") && measure["name"] == name) return &measure;
  }
  return nullptr;
}

// The rank that an entry of `memory` or `pipeline` is about, made when it is new; null for what is no entry.
RankFigures* RankAt(const json& entry, std::map<std::int64_t, RankFigures>* ranks) {
  if (!entry.is_object()) return nullptr;
  const std::int64_t rank = IntOr(entry, "rank", -1);
  return rank < 0 ? nullptr : &(*ranks)[rank];
}

void ReadMemory(const CaseResult& result, std::map<std::int64_t, RankFigures>* ranks) {
  if (!result.memory.is_array()) return;
  for (const json& entry : result.memory) {
    RankFigures* rank = RankAt(entry, ranks);
    if (rank == nullptr) continue;
    rank->memory.peak_bytes = IntOr(entry, "peak_bytes", 0);
    rank->memory.capacity_bytes = IntOr(entry, "capacity_bytes", 0);
    if (!entry.contains("categories") || !entry["categories"].is_object()) continue;
    for (const auto& [name, bytes] : entry["categories"].items()) {
      if (bytes.is_number_integer()) rank->memory.categories[name] = bytes.get<std::int64_t>();
    }
  }
}

}  // namespace

bool HasFigures(const CaseResult& result) { return result.status == protocol::Status::kPass; }

std::vector<RankFigures> RanksOf(const CaseResult& result) {
  std::map<std::int64_t, RankFigures> ranks;
  ReadMemory(result, &ranks);
  if (result.pipeline.is_array()) {
    for (const json& entry : result.pipeline) {
      RankFigures* rank = RankAt(entry, &ranks);
      if (rank == nullptr) continue;
      rank->wall_seconds = NumberOr(entry, "wall_seconds", 0);
      rank->busy_seconds = NumberOr(entry, "busy_seconds", 0);
      rank->idle_seconds = NumberOr(entry, "idle_seconds", 0);
      if (!entry.contains("seconds") || !entry["seconds"].is_object()) continue;
      for (const auto& [name, seconds] : entry["seconds"].items()) {
        if (seconds.is_number()) rank->seconds[name] = seconds.get<double>();
      }
    }
  }
  const protocol::Plan plan = PlanOf(result);
  std::vector<RankFigures> figures;
  for (auto& [number, rank] : ranks) {
    rank.rank = number;
    rank.pp_stage = number < plan.WorldSize() ? plan.At(number).pipeline : 0;
    figures.push_back(rank);
  }
  return figures;
}

std::vector<double> SamplesOf(const CaseResult& result, const std::string& measure) {
  std::vector<double> samples;
  const json* found = FindMeasure(result, measure);
  if (found == nullptr || !found->contains("samples") || !(*found)["samples"].is_array()) return samples;
  for (const json& sample : (*found)["samples"]) {
    if (sample.is_number()) samples.push_back(sample.get<double>());
  }
  return samples;
}

double MedianOf(const CaseResult& result, const std::string& measure) {
  const json* found = FindMeasure(result, measure);
  return found == nullptr ? std::nan("") : NumberOr(*found, "median", std::nan(""));
}

}  // namespace lockstep::publish
