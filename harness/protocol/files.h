// Whole files: read with a size limit, written by temporary file, fsync and rename.
//
// Whoever reads a file sees all of it or none. Durability::kSynced also survives a crash of the machine; it costs
// milliseconds a file. Requests and evidence, hundreds of files a profile, go without: a run that a crash of the
// machine cut short has no record, and every reader finds a torn file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace lockstep::protocol {

inline constexpr std::uint64_t kMaxTextFile = 64ull << 20;  // bytes; larger JSON and TOML files are refused

std::string ReadTextFile(const std::filesystem::path& path, std::uint64_t max_bytes = kMaxTextFile);
enum class Durability { kSynced, kRenamed };
void WriteFileWhole(const std::filesystem::path& path, const std::string& content,
                    Durability durability = Durability::kSynced);

// The folder and those above it, where they are not there. BadInput: why it can't be, and `expected`.
void MakeFolder(const std::filesystem::path& path, const std::string& expected = "");

// JSON and TOML both arrive as nlohmann::json, so that one strict reader (fields.h) serves both.
// BadInput names file, line and column on a syntax error; duplicate keys and nesting deeper than 64 are refused.
nlohmann::json ReadJson(const std::filesystem::path& path);
nlohmann::json ParseJson(const std::string& text, const std::string& name);
nlohmann::json ReadToml(const std::filesystem::path& path);
nlohmann::json ParseToml(const std::string& text, const std::string& name);
// Indented by 2, whole or not at all.
void WriteJson(const std::filesystem::path& path, const nlohmann::json& value,
               Durability durability = Durability::kSynced);

// Non-finite numbers travel as the strings "NaN", "Inf", "-Inf".
nlohmann::json NumberToJson(double value);

// SHA-256 of bytes or of a file, as 64 hex digits.
std::string Sha256(const std::string& bytes);
std::string Sha256File(const std::filesystem::path& path);

}  // namespace lockstep::protocol
