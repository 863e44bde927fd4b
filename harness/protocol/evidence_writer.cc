#include <nlohmann/json.hpp>

#include "harness/protocol/bad_input.h"
#include "harness/protocol/evidence.h"
#include "harness/protocol/files.h"

namespace lockstep::protocol {
namespace {

nlohmann::json Times(double wall, double busy, double idle) {
  return {
      {"wall_seconds", NumberToJson(wall)}, {"busy_seconds", NumberToJson(busy)}, {"idle_seconds", NumberToJson(idle)}};
}

nlohmann::json EffectiveToJson(const EffectivePlan& effective) {
  nlohmann::json value{
      {"plan", PlanToJson(effective.plan)},
      {"at", {{"data", effective.at.data}, {"tensor", effective.at.tensor}, {"pipeline", effective.at.pipeline}}},
      {"precision", NameOf(effective.precision)},
      {"optimizer", NameOf(effective.optimizer)},
      {"clip_norm", NumberToJson(effective.clip_norm)},
      {"devices", effective.devices}};
  if (!effective.placement.empty()) value["placement"] = effective.placement;
  if (!effective.line.empty()) value["line"] = effective.line;
  return value;
}

std::string Padded(std::int64_t number, std::size_t digits) {
  const std::string text = std::to_string(number);
  return std::string(text.size() < digits ? digits - text.size() : 0, '0') + text;
}

}  // namespace

std::filesystem::path RankFolder(const std::filesystem::path& request_folder, std::int64_t rank) {
  return request_folder / "evidence" / ("rank_" + Padded(rank, 5));
}

std::string StepFileName(std::int64_t step) { return "step_" + Padded(step, 6) + ".safetensors"; }

std::string SliceToMetadata(const Slice& slice) {
  return nlohmann::json{{"global_shape", slice.global_shape}, {"offset", slice.offset}}.dump();
}

EvidenceWriter::EvidenceWriter(const std::filesystem::path& request_folder, std::int64_t rank)
    : folder_(RankFolder(request_folder, rank)) {
  std::error_code error;
  // What an earlier attempt left would pass for this run's evidence.
  std::filesystem::remove_all(folder_, error);
  std::filesystem::create_directories(folder_, error);
  events_.open(folder_ / "events.jsonl", std::ios::trunc);
  if (error || !events_) throw BadInput(folder_.string(), "can't be written");
}

void EvidenceWriter::Write(const Hello& hello) {
  nlohmann::json object{{"protocol", kProtocolVersion},
                        {"rank", hello.rank},
                        {"world_size", hello.world_size},
                        {"pid", hello.pid},
                        {"host", hello.host},
                        {"device", {{"kind", hello.device_kind}, {"name", hello.device_name}}},
                        {"trainer", hello.trainer},
                        {"version", hello.version},
                        {"libraries", hello.libraries},
                        {"effective", EffectiveToJson(hello.effective)}};
  if (!hello.groups.empty()) object["groups"] = hello.groups;
  WriteJson(folder_ / "hello.json", object, Durability::kRenamed);
}

void EvidenceWriter::Write(const MicroBatchEvent& event) {
  Event({{"event", "micro_batch"},
         {"step", event.step},
         {"micro_batch", event.micro_batch},
         {"samples", event.samples},
         {"valid_tokens", event.valid_tokens}});
}

void EvidenceWriter::Write(const StepEvent& event) {
  nlohmann::json object{{"event", "step"}, {"step", event.step}, {"valid_tokens", event.valid_tokens}};
  object.update(Times(event.wall_seconds, event.busy_seconds, event.idle_seconds));
  if (event.loss) object["loss"] = NumberToJson(*event.loss);
  if (event.gradient_norm) object["gradient_norm"] = NumberToJson(*event.gradient_norm);
  if (event.learning_rate) object["learning_rate"] = NumberToJson(*event.learning_rate);
  Event(object);
}

void EvidenceWriter::Write(const Done& done) {
  nlohmann::json object{{"steps", done.steps},
                        {"memory",
                         {{"categories", done.memory.categories},
                          {"peak_bytes", done.memory.peak_bytes},
                          {"capacity_bytes", done.memory.capacity_bytes}}}};
  object.update(Times(done.wall_seconds, done.busy_seconds, done.idle_seconds));
  if (done.error) object["error"] = *done.error;
  WriteJson(folder_ / "done.json", object, Durability::kRenamed);
}

void EvidenceWriter::Event(const nlohmann::json& object) {
  events_ << object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n" << std::flush;
  if (!events_) throw BadInput((folder_ / "events.jsonl").string(), "can't be written");
}

void EvidenceWriter::WriteStep(std::int64_t step, const std::map<std::string, Tensor>& tensors,
                               const std::map<std::string, Slice>& slices) {
  std::map<std::string, std::string> metadata;
  for (const auto& [name, slice] : slices) metadata[name] = SliceToMetadata(slice);
  WriteSafetensors(folder_ / StepFileName(step), tensors, metadata, Durability::kRenamed);
}

}  // namespace lockstep::protocol
