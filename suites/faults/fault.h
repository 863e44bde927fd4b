// A fault: a known way to get parallel training wrong, switched on by name in a trainer built for it.
//
// One file a fault, FILE.cc, defining `extern const Fault fault_FILE`; nothing else names it. A fault replaces one seam
// of the trainer (reference/trainer/seams.h) by a wrong one; the trainer itself holds no wrong code. What the suite
// must find is part of the fault: a test runs each on its case and holds the check, the first divergence and the
// diagnosis to these words.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "reference/trainer/seams.h"

namespace lockstep::faults {

struct Fault {
  std::string name;       // "dp.sum_not_mean"
  std::string kind;       // data, accumulation, ledger, optimizer, clip, precision, tensor, pipeline, checkpoint, time
  std::string mechanism;  // a sentence
  std::string met_in;     // where it was met
  std::string case_id;    // the case that must fail
  std::string check;      // the check that must fail first
  std::int64_t step = 0;  // first divergence: step (0: as loaded), phase, and tensor ("": any, or none)
  std::string phase;
  std::string tensor;
  std::string diagnosis;  // words that the diagnosis must hold
  std::function<std::unique_ptr<trainer::Seams>()> make;
};

// Every fault of this folder, by file name (written by lockstep_registry in CMakeLists.txt).
std::vector<const Fault*> AllFaults();

}  // namespace lockstep::faults
