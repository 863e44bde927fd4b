// An output folder, made ready for another use without taking anything of the user's away.
//
// A folder is used again only where the command's mark lies in it: a JSON file that the command writes and that holds
// a field that only the command's has. What goes is what the command writes, by name and in the order given: the mark
// stands last, so that a folder whose clearing was cut short is still known. It knows no command: each says what it
// writes.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace lockstep::conform {

struct FolderUse {
  std::string command;              // "lockstep conform"
  std::filesystem::path mark;       // relative to the folder: "conform.json"
  std::string field;                // that the mark's object holds: "run_id"
  std::vector<std::string> leaves;  // what the command leaves in the folder
};

// The folder is there afterwards, without what an earlier use left. BadInput: it holds other things, or is none.
void PrepareFolder(const std::filesystem::path& folder, const FolderUse& use);

}  // namespace lockstep::conform
