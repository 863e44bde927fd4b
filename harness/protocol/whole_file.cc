#include "harness/protocol/whole_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "harness/protocol/bad_input.h"

namespace lockstep::protocol {

WholeFile::WholeFile(const std::filesystem::path& path) : path_(path) {
  // The process id keeps ranks apart, the counter keeps writers within a process apart.
  for (int attempt = 0; descriptor_ < 0; ++attempt) {
    temporary_ = path.string() + ".tmp." + std::to_string(getpid()) + "." + std::to_string(attempt);
    descriptor_ = open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor_ < 0 && (errno != EEXIST || attempt > 1000)) Refuse("can't be created");
  }
}

WholeFile::~WholeFile() {
  if (descriptor_ < 0) return;
  close(descriptor_);
  unlink(temporary_.c_str());
}

void WholeFile::Append(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(descriptor_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) Refuse("can't be written");
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

void WholeFile::Append(const std::string& text) { Append(std::as_bytes(std::span(text))); }

void WholeFile::Commit(Durability durability) {
  if (durability == Durability::kSynced && fsync(descriptor_) != 0) Refuse("can't be synced");
  if (rename(temporary_.c_str(), path_.c_str()) != 0) Refuse("can't be renamed from its temporary name");
  close(descriptor_);
  descriptor_ = -1;
}

void WholeFile::Refuse(const std::string& what) const {
  throw BadInput(path_.string(), what + " (" + std::strerror(errno) + ")",
                 "is the folder there, writable and not full?");
}

}  // namespace lockstep::protocol
