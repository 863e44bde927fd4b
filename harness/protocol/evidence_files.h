// One rank's JSON evidence, read strictly: hello.json, events.jsonl, done.json. What they say to each other and to the
// request is RunEvidence's concern.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "harness/protocol/evidence.h"

namespace lockstep::protocol {

Hello HelloFromJson(const nlohmann::json& value, const std::string& where);
Done DoneFromJson(const nlohmann::json& value, const std::string& where);
// Appends the events of a whole events.jsonl to `rank`. A last line without its end is refused: the file was cut short.
void EventsFromText(const std::string& text, const std::string& where, RankEvidence& rank);
// {"global_shape": [...], "offset": [...]} of a tensor that has `shape`; refused where it does not lie inside.
Slice SliceFromMetadata(const std::string& text, const Shape& shape, const std::string& where);

}  // namespace lockstep::protocol
