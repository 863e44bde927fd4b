#include "harness/conform/output_folder.h"

#include <nlohmann/json.hpp>

#include "harness/protocol/bad_input.h"
#include "harness/protocol/files.h"

namespace lockstep::conform {
namespace {

namespace fs = std::filesystem;

bool IsMark(const fs::path& file, const std::string& field) {
  if (!fs::exists(file)) return false;
  try {
    const nlohmann::json value = protocol::ReadJson(file);
    return value.is_object() && value.contains(field);
  } catch (const protocol::BadInput&) {
    return false;  // another's file of the same name
  }
}

}  // namespace

void PrepareFolder(const fs::path& folder, const FolderUse& use) {
  if (fs::exists(folder) && !fs::is_directory(folder)) throw protocol::BadInput(folder.string(), "is not a folder");
  if (fs::exists(folder) && !fs::is_empty(folder) && !IsMark(folder / use.mark, use.field)) {
    throw protocol::BadInput(folder.string(), "holds files that `" + use.command + "` did not write",
                             "name an empty or a new folder with --out");
  }
  fs::create_directories(folder);
  for (const std::string& name : use.leaves) fs::remove_all(folder / name);
}

}  // namespace lockstep::conform
