// Files that hold training data, taken apart: text, llm.c's token files, IDX. Told apart by their first bytes.
//
// It knows the formats and nothing of models; every refusal names the file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "harness/protocol/tensor.h"

namespace lockstep::inputs {

enum class Format { kText, kTokens, kIdx };

// The whole file, or BadInput where it is missing, no regular file, or empty.
std::string ReadWhole(const std::filesystem::path& file);
Format FormatOf(const std::string& content);

// U8 for text (one token a byte), U16 for a token file (header of 256 int32, then count uint16, little endian).
protocol::Tensor Stream(const std::filesystem::path& file, const std::string& content);

// IDX of unsigned bytes with `dimensions` dimensions (3: images, 1: labels): U8 of that shape.
protocol::Tensor Idx(const std::filesystem::path& file, const std::string& content, std::size_t dimensions);

}  // namespace lockstep::inputs
