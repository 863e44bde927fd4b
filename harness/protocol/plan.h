// How a workload is laid out over ranks.
//
// rank = (pipeline * data_degree + data) * tensor_degree + tensor: tensor ranks are neighbours, pipeline stages far.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "harness/protocol/workload.h"

namespace lockstep::protocol {

inline constexpr std::int64_t kMaxRanks = 4096;

struct Coordinates {
  std::int64_t data = 0, tensor = 0, pipeline = 0;
  bool operator==(const Coordinates&) const = default;
};

struct Plan {
  std::int64_t data = 1;                // dp: replicas
  std::int64_t tensor = 1;              // tp
  std::int64_t pipeline = 1;            // pp: ranks along the pipeline
  std::int64_t chunks = 1;              // v: stages a pipeline rank holds
  std::int64_t micro_batches = 1;       // m: a replica's share of a step is dealt to these
  std::string schedule = "1f1b";        // generator's name; meaningful where pipeline > 1
  bool sequence_parallel = false;       // rows between tensor-parallel pairs are split over tp
  std::vector<std::int64_t> partition;  // units a stage; empty: Split() evenly
  std::int64_t zero_stage = 0;          // 0 to 3 (0 now)
  bool recompute = false;               // activations recomputed in backward
  bool overlap = true;                  // all-reduce beside backward
  std::int64_t bucket_bytes = 1 << 20;  // gradient bucket of the data-parallel reduction

  std::int64_t WorldSize() const { return data * tensor * pipeline; }
  std::int64_t Stages() const { return pipeline * chunks; }
  Coordinates At(std::int64_t rank) const;
  std::int64_t RankOf(const Coordinates& at) const;
  bool operator==(const Plan&) const = default;
};

// "dp=2,pp=2,tp=2,micro_batches=4,schedule=1f1b,sequence_parallel=true,partition=2+1+1" (also m= for micro_batches).
// Throws BadInput with the nearest right key.
Plan ParsePlan(const std::string& text);
// The same, canonical and short: only what differs from a plan of one rank; "single" when nothing does.
std::string ToString(const Plan& plan);
Plan PlanFromJson(const nlohmann::json& value, const std::string& where);
nlohmann::json PlanToJson(const Plan& plan);
Plan ReadPlanToml(const std::filesystem::path& path);

// Units of each stage, as the plan says or by Split(); throws BadInput when they don't add up to the model's.
std::vector<std::int64_t> StagePartition(const Plan& plan, const Model& model);

// Refuses (BadInput) plans that can't lay out this workload: fewer samples than replicas times micro-batches, fewer
// units than stages, more tensor ranks than heads, sequence parallel without tensor parallel, ...
void Validate(const Plan& plan, const Workload& workload, const std::string& where);

}  // namespace lockstep::protocol
