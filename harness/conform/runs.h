// Which runs of the trainer a case's checks need, as requests.
//
//   candidate     the workload under the plan, with the case's delays
//   single        the same workload and micro-batches on one rank; shared by all cases that need the same one
//   rerun         the candidate once more
//   variant       the candidate with overlap turned round
//   resumed       from the candidate's checkpoint, under the plan of [resume]
//   resumed_same  from the candidate's checkpoint, under the candidate's plan
//   reference     own models: the workload in fp64 on one rank, in the oracle's place
//
// It decides and describes; execute.h runs. A fault never touches `single` and `reference`.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "harness/conform/case.h"
#include "harness/protocol/manifest.h"
#include "harness/protocol/request.h"

namespace lockstep::conform {

struct Run {
  std::string name;
  std::filesystem::path folder;  // relative to the output folder; "runs/CASE/NAME"
  protocol::Request request;
  int wave = 0;  // 1: needs the checkpoint of a run of wave 0
  bool takes_fault = true;
};

// In the order in which they are to be made; the candidate first.
std::vector<Run> RunsOf(const Case& value);

// Why the trainer can't run this case, from what it said of itself; "" when it can.
std::string WhyUnsupported(const protocol::Capabilities& can, const Case& value);

}  // namespace lockstep::conform
