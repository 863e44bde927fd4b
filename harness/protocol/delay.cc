#include "harness/protocol/delay.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "harness/protocol/fields.h"

namespace lockstep::protocol {
namespace {

constexpr std::int64_t kMaxCount = std::int64_t{1} << 40;
constexpr double kMaxSeconds = 3600;

bool IsOfWholeStep(const std::string& operation) { return operation == "data" || operation == "optimizer"; }

// Whether the trainer sleeps at this action of the line.
bool ComesAt(const Delay& delay, const Action& action, std::int64_t stages) {
  const bool forward = action.kind == ActionKind::kForward, backward = action.kind == ActionKind::kBackward;
  const bool input = action.kind == ActionKind::kInputGradient, weight = action.kind == ActionKind::kWeightGradient;
  if (!forward && !backward && !input && !weight) return false;
  if (delay.operation == "host") return true;
  if (delay.micro_batch >= 0 && delay.micro_batch != action.micro_batch) return false;
  if (delay.operation == "send") return forward ? action.stage + 1 < stages : !weight && action.stage > 0;
  return delay.operation == (forward ? "F" : backward ? "B" : input ? "I" : "W");
}

}  // namespace

const std::vector<std::string>& DelayOperations() {
  static const std::vector<std::string> operations{"F", "B", "I", "W", "send", "data", "optimizer", "host"};
  return operations;
}

std::int64_t SleepsInStep(const Delay& delay, const Plan& plan, const Schedule& schedule) {
  const bool has_micro_batch = !IsOfWholeStep(delay.operation) && delay.operation != "host";
  if (delay.micro_batch >= 0 && !has_micro_batch) return 0;
  if (IsOfWholeStep(delay.operation)) return 1;
  const auto pipeline = static_cast<std::size_t>(plan.At(delay.rank).pipeline);
  const std::vector<Action>& line = schedule.ranks.at(pipeline);
  return std::count_if(line.begin(), line.end(),
                       [&](const Action& action) { return ComesAt(delay, action, schedule.stages); });
}

std::vector<Delay> DelaysFromFields(Fields& fields, std::int64_t world_size) {
  std::vector<Delay> delays;
  for (Fields& row : fields.Objects("delays")) {
    Delay delay;
    delay.rank = row.Int("rank", 0, world_size - 1);
    row.Raw("operation");  // required
    delay.operation = row.Choice("operation", DelayOperations(), "");
    delay.seconds = row.Number("seconds");
    if (!(delay.seconds > 0 && delay.seconds <= kMaxSeconds)) {
      row.Refuse("seconds", "is out of range", "up to an hour");
    }
    delay.step = row.Int("step", 1, kMaxCount, 0);
    delay.micro_batch = row.Int("micro_batch", 0, kMaxCount, -1);
    row.Done();
    delays.push_back(delay);
  }
  return delays;
}

nlohmann::json DelayToJson(const Delay& delay) {
  nlohmann::json value{{"rank", delay.rank}, {"operation", delay.operation}, {"seconds", delay.seconds}};
  if (delay.step > 0) value["step"] = delay.step;
  if (delay.micro_batch >= 0) value["micro_batch"] = delay.micro_batch;
  return value;
}

}  // namespace lockstep::protocol
