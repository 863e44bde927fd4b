#include "harness/inputs/default_text.h"

#include <algorithm>
#include <vector>

#include "harness/inputs/file_formats.h"
#include "harness/inputs/make.h"
#include "harness/protocol/bad_input.h"
#include "harness/protocol/files.h"

namespace lockstep::inputs {

std::string ConcatenateTexts(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  if (std::filesystem::is_directory(folder)) {
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      if (entry.is_regular_file() && !entry.is_symlink()) files.push_back(entry.path());
    }
  }
  if (files.empty()) {
    throw protocol::BadInput(folder.string(), "holds no text to train on", "name one with --data FILE");
  }
  std::sort(files.begin(), files.end());
  std::string text;
  for (const std::filesystem::path& file : files) text += ReadWhole(file);
  return text;
}

std::filesystem::path DefaultText(const std::filesystem::path& cache) {
  const std::filesystem::path path = cache / "licence_texts.txt";
  if (!std::filesystem::exists(path)) {  // written whole by rename: what is there is complete
    const std::string text = ConcatenateTexts("/usr/share/common-licenses");
    protocol::MakeFolder(cache);
    protocol::WriteFileWhole(path, text);
  }
  return path;
}

}  // namespace lockstep::inputs
