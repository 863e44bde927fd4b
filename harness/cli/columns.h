// Tables of text for a terminal: columns as wide as their widest cell, aligned at the right.
#pragma once

#include <string>
#include <vector>

namespace lockstep::cli {

using Rows = std::vector<std::vector<std::string>>;
std::string Aligned(const Rows& rows);

}  // namespace lockstep::cli
