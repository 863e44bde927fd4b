// Tables of text for a terminal: columns as wide as their widest cell, aligned at the right; the first `left` of them
// at the left.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace lockstep::cli {

using Rows = std::vector<std::vector<std::string>>;
std::string Aligned(const Rows& rows, std::size_t left = 0);

}  // namespace lockstep::cli
