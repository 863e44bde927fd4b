// Pipeline schedules by name: what each pipeline rank does in a step, as data.
//
// A generator is one file in generators/ that defines `extern const Generator generator_STEM`; nothing else names it.
// What a generator gives is never trusted: Generate() verifies it (verify.h) before anybody runs it. Nothing here
// knows how long an operation takes, who executes it, or how a message travels.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "harness/protocol/plan.h"
#include "harness/protocol/schedule.h"

namespace lockstep::schedule {

struct Shape {
  std::int64_t ranks = 1;          // p: ranks along the pipeline
  std::int64_t chunks = 1;         // v: stages a rank holds; stage s stands on rank s mod p
  std::int64_t micro_batches = 1;  // m
};

using Lines = std::vector<std::vector<protocol::Action>>;  // [pipeline rank][position]

struct Generator {
  std::string name;                         // as plans name it: "1f1b"
  std::string sentence;                     // what it is, for people
  std::int64_t max_chunks = 1;              // largest v that it can lay out
  std::function<Lines(const Shape&)> make;  // called with chunks <= max_chunks only
};

// Every generator, by file name (written by lockstep_registry in CMakeLists.txt).
std::vector<const Generator*> AllGenerators();

// The schedule of a plan. One pipeline rank of one chunk runs F0,B0,F1,B1,... whatever the plan's schedule is called.
// Throws BadInput: an unknown name (with the nearest right one), more chunks than the generator lays out.
protocol::Schedule Generate(const protocol::Plan& plan);

}  // namespace lockstep::schedule
