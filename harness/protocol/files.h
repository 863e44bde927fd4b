// Whole files: read with a size limit, written by temporary file, fsync and rename.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include <nlohmann/json_fwd.hpp>

namespace lockstep::protocol {

inline constexpr std::uint64_t kMaxTextFile = 64ull << 20;     // bytes; larger JSON and TOML files are refused

std::string ReadTextFile(const std::filesystem::path& path, std::uint64_t max_bytes = kMaxTextFile);
void WriteFileWhole(const std::filesystem::path& path, const std::string& content);

// JSON and TOML both arrive as nlohmann::json, so that one strict reader (fields.h) serves both.
// BadInput names file, line and column on a syntax error; duplicate keys and nesting deeper than 64 are refused.
nlohmann::json ReadJson(const std::filesystem::path& path);
nlohmann::json ParseJson(const std::string& text, const std::string& name);
nlohmann::json ReadToml(const std::filesystem::path& path);
nlohmann::json ParseToml(const std::string& text, const std::string& name);
void WriteJson(const std::filesystem::path& path, const nlohmann::json& value);   // indented by 2, whole or not at all

// Non-finite numbers travel as the strings "NaN", "Inf", "-Inf".
nlohmann::json NumberToJson(double value);

// SHA-256 of bytes or of a file, as 64 hex digits.
std::string Sha256(const std::string& bytes);
std::string Sha256File(const std::filesystem::path& path);

}  // namespace lockstep::protocol
