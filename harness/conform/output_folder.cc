#include "harness/conform/output_folder.h"

#include <nlohmann/json.hpp>

#include "harness/protocol/bad_input.h"
#include "harness/protocol/files.h"

namespace lockstep::conform {
namespace {

namespace fs = std::filesystem;

constexpr const char* kAdvice = "name an empty or a new folder with --out";

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
  protocol::MakeFolder(folder, kAdvice);
  try {
    if (!fs::is_empty(folder) && !IsMark(folder / use.mark, use.field)) {
      throw protocol::BadInput(folder.string(), "holds files that `" + use.command + "` did not write", kAdvice);
    }
    for (const std::string& name : use.leaves) fs::remove_all(folder / name);
  } catch (const fs::filesystem_error& error) {
    throw protocol::BadInput(folder.string(), "can't be used (" + error.code().message() + ")", kAdvice);
  }
}

}  // namespace lockstep::conform
