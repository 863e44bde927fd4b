#include "harness/protocol/fault.h"

#include <array>

#include "harness/protocol/fields.h"

namespace lockstep::protocol {
namespace {

const std::array<std::string_view, 5> kOutcomes{"caught", "caught_otherwise", "caught_elsewhere", "missed",
                                                "not_judged"};

}  // namespace

Fault FaultFromFields(Fields fields) {
  Fault fault;
  fault.name = fields.String("name");
  fault.kind = fields.String("kind");
  fault.mechanism = fields.String("mechanism");
  fault.source = fields.String("source", "");
  fault.workload_case = fields.String("workload_case");
  fault.found_by = fields.Choice("found_by", {"check", "watcher"}, "check");
  fault.check = fault.found_by == "check" ? fields.String("check") : fields.String("check", "");
  fault.step = fields.Int("step", -1, 1 << 30, -1);
  fault.phase = fields.String("phase", "");
  fault.tensor = fields.String("tensor", "");
  fault.diagnosis = fields.String("diagnosis", "");
  if (fault.found_by == "watcher" && fault.diagnosis.empty()) {
    fields.Refuse("diagnosis", "is empty, and would stand in whatever the watcher says", "the words that it must say");
  }
  fields.Done();
  return fault;
}

nlohmann::json FaultToJson(const Fault& fault) {
  return {{"name", fault.name},
          {"kind", fault.kind},
          {"mechanism", fault.mechanism},
          {"source", fault.source},
          {"workload_case", fault.workload_case},
          {"found_by", fault.found_by},
          {"check", fault.check},
          {"step", fault.step},
          {"phase", fault.phase},
          {"tensor", fault.tensor},
          {"diagnosis", fault.diagnosis}};
}

std::string_view NameOf(FaultOutcome outcome) { return kOutcomes[static_cast<std::size_t>(outcome)]; }

FaultResult FaultResultFromFields(Fields fields) {
  FaultResult result;
  result.fault = FaultFromFields(fields.Object("declared"));
  const std::string outcome = fields.Choice("outcome", {kOutcomes.begin(), kOutcomes.end()}, "");
  for (std::size_t i = 0; i < kOutcomes.size(); ++i) {
    if (kOutcomes[i] == outcome) result.outcome = static_cast<FaultOutcome>(i);
  }
  result.words = fields.String("words");
  return result;
}

nlohmann::json FaultResultToJson(const FaultResult& result) {
  return {{"declared", FaultToJson(result.fault)}, {"outcome", NameOf(result.outcome)}, {"words", result.words}};
}

std::string ExpectationWords(const Fault& fault) {
  if (fault.found_by == "watcher") return "what holds the run up, \"" + fault.diagnosis + "\"";
  std::string words = fault.check;
  if (fault.step >= 0) words += ", step " + std::to_string(fault.step);
  if (!fault.phase.empty()) words += ", " + fault.phase;
  if (!fault.tensor.empty()) words += ", " + fault.tensor;
  if (!fault.diagnosis.empty()) words += ", \"" + fault.diagnosis + "\"";
  return words;
}

}  // namespace lockstep::protocol
