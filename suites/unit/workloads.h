// What small workloads of unit tests have in common: a model, targets that are unevenly valid, three steps.
#pragma once

#include <cstdint>

#include "harness/protocol/workload.h"

namespace lockstep::unit {

inline protocol::Workload UnevenWorkload(const protocol::Model& model, std::int64_t global_batch) {
  protocol::Workload workload;
  workload.model = model;
  workload.data.uneven = true;
  workload.global_batch = global_batch;
  workload.steps = 3;
  return workload;
}

}  // namespace lockstep::unit
