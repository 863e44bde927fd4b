// Schedules for tests: from lines of text, and over grids of the shapes that a generator lays out.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "harness/schedule/generate.h"

namespace lockstep::schedule {

// Stage s on rank s mod ranks unless a placement is given.
protocol::Schedule FromLines(std::int64_t stages, std::int64_t micro_batches, const std::vector<std::string>& lines,
                             const Placement& placement = {});

protocol::Schedule Make(const std::string& generator, const Shape& shape);  // not verified

// Calls `body` for every shape within the bounds that `generator` lays out.
void ForEachShape(const Generator& generator, std::int64_t max_ranks, std::int64_t max_chunks,
                  const std::function<std::vector<std::int64_t>(std::int64_t ranks)>& micro_batches,
                  const std::function<void(const Shape&)>& body);

// `count` shapes of at most 12 ranks, 5 chunks and 40 micro-batches, drawn by `seed`.
std::vector<Shape> RandomShapes(const Generator& generator, std::size_t count, unsigned seed);

std::string Describe(const Generator& generator, const Shape& shape);  // "zb_v p=4 v=2 m=8"

}  // namespace lockstep::schedule
