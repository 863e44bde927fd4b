// The text that stands in when no file is given, with its folder as an argument so that tests can give another.
#pragma once

#include <filesystem>
#include <string>

namespace lockstep::inputs {

// The regular files of `folder` one after the other, in name order; links are left out, being copies of others.
// Throws BadInput where the folder is missing or holds none.
std::string ConcatenateTexts(const std::filesystem::path& folder);

}  // namespace lockstep::inputs
