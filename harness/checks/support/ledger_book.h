// The ledger: which samples each rank ran in each micro-batch, beside what PROTOCOL.md's Split rule gives it.
//
// Expectations come from the request's own `order`; an own model has none, and then only what must hold of any order is
// asked: replicas disjoint, global_batch samples in all, all ranks of a replica alike.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "harness/checks/support/verdict.h"

namespace lockstep::checks {

// The samples of one rank in one step by micro-batch: one list for each, empty where it ran no forward. Throws BadInput
// when one micro-batch was run twice (unless the rank holds several chunks and ran it in each) or does not exist.
std::vector<std::vector<std::int64_t>> SamplesOf(const protocol::RunEvidence& run, std::int64_t rank,
                                                 std::int64_t step);

// What a rank must have run.
std::vector<std::vector<std::int64_t>> ExpectedSamples(const Input& input, const protocol::Plan& plan,
                                                       std::int64_t rank, std::int64_t step);

// Every step of `run`: samples, replicas, micro-batches and valid-token counts.
void CheckLedger(const Input& input, const protocol::RunEvidence& run, Verdict& verdict);

// Of one step: samples of the batch that no replica ran, that several ran (with who had them), and strangers. "" when
// there is none. Looks at one column of ranks, those with the tensor and pipeline coordinates of `rank`.
std::string BatchWords(const Input& input, const protocol::RunEvidence& run, std::int64_t step, std::int64_t rank);

}  // namespace lockstep::checks
