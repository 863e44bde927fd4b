#include "harness/launch/watch.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>

#include "harness/launch/stuck/words.h"
#include "harness/protocol/cursor.h"
#include "harness/protocol/evidence.h"
#include "harness/protocol/files.h"

namespace lockstep::launch {
namespace {

nlohmann::json ReadIfThere(const std::filesystem::path& file) {
  std::error_code error;
  if (!std::filesystem::exists(file, error)) return nullptr;
  try {
    nlohmann::json value = protocol::ReadJson(file);
    return value.is_object() ? value : nlohmann::json::object();
  } catch (const std::exception&) {
    return nlohmann::json::object();
  }
}

std::string HostName() {
  char name[256] = {};
  gethostname(name, sizeof name - 1);
  return name;
}

std::int64_t IntegerOr(const nlohmann::json& object, const char* key, std::int64_t otherwise) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number_integer() ? found->get<std::int64_t>() : otherwise;
}

std::string StringOr(const nlohmann::json& object, const char* key, const std::string& otherwise) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : otherwise;
}

// The last whole line that is a JSON object, of the file's last 64 KiB.
nlohmann::json LastEvent(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary | std::ios::ate);
  if (!stream) return nullptr;
  const std::streamoff size = stream.tellg(), from = std::max<std::streamoff>(0, size - (64 << 10));
  stream.seekg(from);
  std::string text(static_cast<std::size_t>(size - from), '\0');
  stream.read(text.data(), size - from);
  text.resize(static_cast<std::size_t>(stream.gcount()));
  for (std::size_t end = text.rfind('\n'); end != std::string::npos && end > 0;) {
    const std::size_t newline = text.rfind('\n', end - 1);
    const std::size_t begin = newline == std::string::npos ? 0 : newline + 1;
    nlohmann::json event = nlohmann::json::parse(text.substr(begin, end - begin), nullptr, false);
    if (event.is_object()) return event;
    end = newline;
  }
  return nullptr;
}

}  // namespace

bool BlamesAPeer(const std::string& error) {
  static const std::regex words("has died|remote process exited|ncclRemoteError|closed by peer|reset by peer");
  return std::regex_search(error, words);
}

bool BlamesADeath(const std::string& error) {
  return BlamesAPeer(error) && error.find("has aborted the communicator") == std::string::npos;
}

RequestWatch::RequestWatch(std::filesystem::path request, std::int64_t world_size)
    : request_(std::move(request)), ranks_(static_cast<std::size_t>(world_size)) {}

void RequestWatch::Update() {
  for (std::size_t rank = 0; rank < ranks_.size(); ++rank) {
    RankWatch& watch = ranks_[rank];
    const std::filesystem::path folder = protocol::RankFolder(request_, static_cast<std::int64_t>(rank));
    if (!watch.said_hello) {
      const nlohmann::json hello = ReadIfThere(folder / "hello.json");
      if (!hello.is_null()) {
        watch.said_hello = true;
        watch.pid = IntegerOr(hello, "pid", 0);
        watch.on_this_host = StringOr(hello, "host", "") == HostName();
      }
    }
    if (!watch.done) {
      const nlohmann::json done = ReadIfThere(folder / "done.json");
      if (!done.is_null()) {
        watch.done = true;
        watch.error = StringOr(done, "error", "");
      }
    }
  }
}

bool RequestWatch::Begun() const {
  return std::any_of(ranks_.begin(), ranks_.end(), [](const RankWatch& rank) { return rank.said_hello; });
}
bool RequestWatch::AllHello() const {
  return std::all_of(ranks_.begin(), ranks_.end(), [](const RankWatch& rank) { return rank.said_hello; });
}
bool RequestWatch::AllDone() const {
  return std::all_of(ranks_.begin(), ranks_.end(), [](const RankWatch& rank) { return rank.done; });
}

bool RequestWatch::AnyGaveUp() const {
  return std::any_of(ranks_.begin(), ranks_.end(), [](const RankWatch& rank) { return !rank.error.empty(); });
}

std::uint64_t RequestWatch::EvidenceBytes(std::int64_t rank) const {
  std::uint64_t bytes = 0;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(protocol::RankFolder(request_, rank), error)) {
    const std::uint64_t size = entry.file_size(error);
    if (!error) bytes += size + 1;  // a new empty file is progress too
  }
  return bytes;
}

std::uint64_t RequestWatch::EvidenceBytes() const {
  std::uint64_t bytes = 0;
  for (std::size_t rank = 0; rank < ranks_.size(); ++rank) bytes += EvidenceBytes(static_cast<std::int64_t>(rank));
  return bytes;
}

std::string RequestWatch::Position(std::int64_t rank) const {
  const RankWatch& watch = ranks_[static_cast<std::size_t>(rank)];
  if (watch.done && watch.error.empty()) return "done";
  if (!watch.said_hello) return "before hello";
  const auto cursor = protocol::ReadCursor(protocol::RankFolder(request_, rank) / protocol::kCursorFile);
  if (cursor) return stuck::Describe(*cursor);
  if (watch.done) return "done";
  const nlohmann::json event = LastEvent(protocol::RankFolder(request_, rank) / "events.jsonl");
  if (event.is_null()) return "after hello, before the first event";
  const std::string step = std::to_string(IntegerOr(event, "step", 0)), kind = StringOr(event, "event", "an event");
  if (kind == "step") return "after step " + step;
  if (kind == "micro_batch") {
    return "in step " + step + ", after the forward of micro-batch " +
           std::to_string(IntegerOr(event, "micro_batch", 0));
  }
  return "in step " + step + ", after event '" + kind + "'";
}

double RequestWatch::PositionOrder(std::int64_t rank) const {
  const RankWatch& watch = ranks_[static_cast<std::size_t>(rank)];
  if (watch.done) return 1e18;
  if (!watch.said_hello) return -1;
  const nlohmann::json event = LastEvent(protocol::RankFolder(request_, rank) / "events.jsonl");
  if (event.is_null()) return 0;
  const double step = static_cast<double>(IntegerOr(event, "step", 0));
  if (StringOr(event, "event", "") == "step") return step;
  return step - 1 + 0.5 * static_cast<double>(IntegerOr(event, "micro_batch", 0) + 1) / 1e4;
}

}  // namespace lockstep::launch
