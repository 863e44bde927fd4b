// The rank's cursor, mapped: what it does now, for a watcher that must not ask it (protocol/cursor.h).
//
// Writing costs nanoseconds and no system call. Without a file everything goes to memory that nobody sees.
#pragma once

#include <filesystem>

#include "harness/protocol/cursor.h"

namespace lockstep::trainer {

class CursorFile {
 public:
  CursorFile() = default;
  ~CursorFile();
  CursorFile(const CursorFile&) = delete;
  CursorFile& operator=(const CursorFile&) = delete;

  void Open(const std::filesystem::path& file);  // what was said before is in it; throws BadInput

  const protocol::Cursor& now() const { return now_; }
  void Set(const protocol::Cursor& cursor);  // all but magic, sequence and stray
  void SetStray(std::int32_t stray);         // on any thread, once there is a file

 private:
  protocol::Cursor now_;
  protocol::Cursor* shared_ = nullptr;
};

}  // namespace lockstep::trainer
