#include "harness/schedule/generate.h"

#include <stdexcept>

#include "harness/protocol/bad_input.h"
#include "harness/protocol/fields.h"
#include "harness/schedule/verify.h"

namespace lockstep::schedule {
namespace {

// With one stage nothing overlaps: each micro-batch's backward at once, so that one micro-batch's activations are live.
Lines OneRank(std::int64_t micro_batches) {
  Lines lines(1);
  for (std::int64_t i = 0; i < micro_batches; ++i) {
    lines[0].push_back({0, protocol::ActionKind::kForward, i});
    lines[0].push_back({0, protocol::ActionKind::kBackward, i});
  }
  return lines;
}

}  // namespace

const Generator& FindGenerator(const std::string& name, const std::string& where) {
  std::vector<std::string> names;
  for (const Generator* generator : AllGenerators()) {
    if (generator->name == name) return *generator;
    names.push_back(generator->name);
  }
  const std::string near = protocol::Nearest(name, names);
  std::string known;
  for (const std::string& each : names) known += (known.empty() ? "" : ", ") + each;
  throw protocol::BadInput(where, "no schedule is called '" + name + "'",
                           near.empty() ? "there are " + known : "did you mean '" + near + "'?");
}

std::string WhyNot(const Generator& generator, const Shape& shape) {
  if (shape.chunks < generator.min_chunks || shape.chunks > generator.max_chunks) {
    const std::string limit = generator.min_chunks == generator.max_chunks ? "exactly "
                              : shape.chunks < generator.min_chunks        ? "at least "
                                                                           : "at most ";
    const std::int64_t number = shape.chunks < generator.min_chunks ? generator.min_chunks : generator.max_chunks;
    return "lays out " + limit + std::to_string(number) + (number == 1 ? " chunk" : " chunks") + " a rank, not " +
           std::to_string(shape.chunks);
  }
  return generator.why_not ? generator.why_not(shape) : "";
}

protocol::Schedule Generate(const Generator& generator, const Shape& shape, const std::string& where) {
  const std::string why_not = WhyNot(generator, shape);
  if (!why_not.empty()) throw protocol::BadInput(where, "'" + generator.name + "' " + why_not);
  protocol::Schedule schedule{generator.name, shape.ranks * shape.chunks, shape.micro_batches, generator.make(shape)};
  if (generator.place) schedule.placement = generator.place(shape);
  const std::string problem = FirstProblem(schedule);
  if (!problem.empty()) throw std::logic_error("generator '" + generator.name + "': " + problem);
  return schedule;
}

protocol::Schedule Generate(const protocol::Plan& plan) {
  const Generator& generator = FindGenerator(plan.schedule, "plan: schedule");
  if (plan.Stages() == 1) return {plan.schedule, 1, plan.micro_batches, OneRank(plan.micro_batches)};
  return Generate(generator, {plan.pipeline, plan.chunks, plan.micro_batches}, "plan: schedule");
}

}  // namespace lockstep::schedule
