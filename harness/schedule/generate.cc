#include "harness/schedule/generate.h"

#include <stdexcept>

#include "harness/protocol/bad_input.h"
#include "harness/protocol/fields.h"
#include "harness/schedule/verify.h"

namespace lockstep::schedule {
namespace {

const Generator& Find(const std::string& name) {
  std::vector<std::string> names;
  for (const Generator* generator : AllGenerators()) {
    if (generator->name == name) return *generator;
    names.push_back(generator->name);
  }
  const std::string near = protocol::Nearest(name, names);
  std::string known;
  for (const std::string& each : names) known += (known.empty() ? "" : ", ") + each;
  throw protocol::BadInput("plan: schedule", "no schedule is called '" + name + "'",
                           near.empty() ? "there are " + known : "did you mean '" + near + "'?");
}

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

protocol::Schedule Generate(const protocol::Plan& plan) {
  const Generator& generator = Find(plan.schedule);
  protocol::Schedule schedule{plan.schedule, plan.Stages(), plan.micro_batches, {}};
  if (plan.Stages() == 1) {
    schedule.ranks = OneRank(plan.micro_batches);
  } else {
    if (plan.chunks > generator.max_chunks) {
      throw protocol::BadInput(
          "plan: chunks", "is " + std::to_string(plan.chunks),
          "schedule '" + plan.schedule + "' lays out at most " + std::to_string(generator.max_chunks));
    }
    schedule.ranks = generator.make({plan.pipeline, plan.chunks, plan.micro_batches});
  }
  const std::string problem = FirstProblem(schedule);
  if (!problem.empty()) throw std::logic_error("generator '" + plan.schedule + "': " + problem);
  return schedule;
}

}  // namespace lockstep::schedule
