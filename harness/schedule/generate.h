// Pipeline schedules by name: what each pipeline rank does in a step, as data.
//
// A generator is one file in generators/ that defines `extern const Generator generator_STEM`; nothing else names it.
// What a generator gives is never trusted: Generate() verifies it (verify.h) before anybody runs it. A generator may
// bring the closed forms of its idle time and memory, which the tests hold the simulator to. Nothing here executes a
// schedule or knows how a message travels.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "harness/protocol/plan.h"
#include "harness/protocol/schedule.h"

namespace lockstep::schedule {

struct Shape {
  std::int64_t ranks = 1;          // p: ranks along the pipeline
  std::int64_t chunks = 1;         // v: stages a rank holds
  std::int64_t micro_batches = 1;  // m
};

using Lines = std::vector<std::vector<protocol::Action>>;  // [pipeline rank][position]
using Placement = std::vector<std::vector<std::int64_t>>;  // [pipeline rank] stages

// How long each operation of a stage takes, the same on every stage.
struct Durations {
  std::int64_t forward = 1, input_gradient = 1, weight_gradient = 1;
  std::int64_t fused = 3;  // a forward and a backward at once
  std::int64_t Backward() const { return input_gradient + weight_gradient; }
};

// What a paper's formulas say of a schedule. Activations are counted in stages' micro-batches: with v chunks a rank, v
// of them are one micro-batch of that rank.
struct ClosedForm {
  std::string idle_text, peak_text;            // as people write them: "(p-1)(F+B)"
  std::vector<std::int64_t> makespan_idle;     // [rank] step time less busy time
  std::vector<std::int64_t> span_idle;         // [rank] first start to last end, less busy time
  std::vector<std::int64_t> peak_activations;  // [rank]
};

struct Generator {
  std::string name;                         // as plans name it: "1f1b"
  std::string sentence;                     // what it is, for people
  std::int64_t max_chunks = 1;              // largest v that it can lay out
  std::function<Lines(const Shape&)> make;  // called with shapes that it can lay out only
  std::int64_t min_chunks = 1;              // smallest v
  // The stages of each rank; absent: stage s on rank s mod p.
  std::function<Placement(const Shape&)> place = nullptr;
  // "" or why a shape within the limits of chunks can't be laid out: "needs an even number of ranks". Absent: all can.
  std::function<std::string(const Shape&)> why_not = nullptr;
  // Nothing where no formula holds: outside a condition on the shape or the durations, which the file names.
  std::function<std::optional<ClosedForm>(const Shape&, const Durations&)> closed_form = nullptr;
};

// Every generator, by file name (written by lockstep_registry in CMakeLists.txt).
std::vector<const Generator*> AllGenerators();

// The one of that name; throws BadInput with the nearest right name.
const Generator& FindGenerator(const std::string& name, const std::string& where);

// "" or why this generator can't lay out the shape, in words that follow its name: "lays out exactly 2 chunks".
std::string WhyNot(const Generator& generator, const Shape& shape);

// The schedule of a shape with at least two ranks, verified. Throws BadInput where the generator can't lay it out.
protocol::Schedule Generate(const Generator& generator, const Shape& shape, const std::string& where);

// The schedule of a plan. One pipeline rank of one chunk runs F0,B0,F1,B1,... whatever the plan's schedule is called.
// Throws BadInput: an unknown name (with the nearest right one), a shape that the generator can't lay out.
protocol::Schedule Generate(const protocol::Plan& plan);

}  // namespace lockstep::schedule
