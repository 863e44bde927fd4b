// trainer.toml: how to describe and how to launch a trainer; and what the trainer says it can do.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "harness/protocol/plan.h"
#include "harness/protocol/workload.h"

namespace lockstep::protocol {

// A known difference of this trainer, kept out of the cases: the case fails as before, and counts as `waived`.
struct Waiver {
  std::string case_id;  // whole id, or a prefix that ends in '*'
  std::string check;    // the check that fails, "" for any
  std::string cause;    // whole words that must stand in the diagnosis
  std::string reason;   // for people
};

class Fields;
Waiver WaiverFromFields(Fields fields);  // BadInput where case, cause or reason is blank: it would cover everything
nlohmann::json WaiverToJson(const Waiver& waiver);

struct Manifest {
  std::filesystem::path file;
  std::string name;     // "kokkos"
  std::string summary;  // a sentence
  int protocol = 1;
  std::vector<std::string> describe;       // command that prints Capabilities as JSON
  std::vector<std::string> launch;         // {world_size}, {requests}, {bin}, {manifest_dir}, {cache}
  std::vector<std::string> faulty_launch;  // the same with {fault}; empty: no faults built in
  std::vector<std::string> faults;         // command that lists the faults as JSON
  std::map<std::string, std::string> environment;
  std::int64_t requests_per_launch = 1;  // how many requests one launch may serve
  double start_seconds = 20;             // time allowed until every rank has said hello
  std::string setup;                     // what to run when the command is missing ("ci/adapters")
  std::vector<Waiver> waivers;
};

Manifest ReadManifest(const std::filesystem::path& file);  // throws BadInput
Manifest ManifestFromJson(const nlohmann::json& value, const std::filesystem::path& file);

// Printed by `describe` as one JSON object. A case outside this is `unsupported`; a case inside must be run.
struct Capabilities {
  std::string name, version;
  int protocol = 1;
  std::vector<std::string> models, optimizers, precisions, schedules, losses, data_forms;
  std::int64_t max_data = 1, max_tensor = 1, max_pipeline = 1, max_chunks = 1, max_micro_batches = 1;
  bool sequence_parallel = false, dropout = false, tied = false, clipping = false, checkpoint_whole = false,
       checkpoint_sharded = false, uneven_micro_batches = false, uneven_tensor_split = false, recompute = false,
       delays = false;
  std::vector<std::int64_t> zero_stages;
};

Capabilities CapabilitiesFromJson(const nlohmann::json& value, const std::string& where);
nlohmann::json CapabilitiesToJson(const Capabilities& capabilities);

// "" when the trainer can, otherwise what it can't: "tensor parallel degree 2 (at most 1)".
std::string WhyUnsupported(const Capabilities& can, const Workload& workload, const Plan& plan);

}  // namespace lockstep::protocol
