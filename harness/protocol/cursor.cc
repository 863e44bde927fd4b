#include "harness/protocol/cursor.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstddef>

namespace lockstep::protocol {
namespace {

constexpr int kTries = 1000;  // a write takes nanoseconds: more are needed by nobody but who died within one

bool ReadAt(int descriptor, std::size_t offset, std::size_t size, void* to) {
  return pread(descriptor, to, size, static_cast<off_t>(offset)) == static_cast<ssize_t>(size);
}

std::optional<Cursor> ReadFrom(int descriptor) {
  constexpr std::size_t kSequence = offsetof(Cursor, sequence);
  for (int i = 0; i < kTries; ++i) {
    Cursor cursor;
    std::uint64_t before = 0, after = 0;
    if (!ReadAt(descriptor, kSequence, sizeof(before), &before) || !ReadAt(descriptor, 0, sizeof(cursor), &cursor) ||
        !ReadAt(descriptor, kSequence, sizeof(after), &after)) {
      return std::nullopt;
    }
    if (before % 2 != 0 || before != after || cursor.sequence != before) continue;
    return cursor.magic == Cursor{}.magic ? std::optional(cursor) : std::nullopt;
  }
  return std::nullopt;
}

}  // namespace

std::optional<Cursor> ReadCursor(const std::filesystem::path& file) {
  const int descriptor = open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return std::nullopt;
  const std::optional<Cursor> cursor = ReadFrom(descriptor);
  close(descriptor);
  return cursor;
}

}  // namespace lockstep::protocol
