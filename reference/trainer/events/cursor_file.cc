#include "reference/trainer/events/cursor_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstring>

#include "harness/protocol/bad_input.h"

namespace lockstep::trainer {

using protocol::Cursor;

CursorFile::~CursorFile() {
  if (shared_ != nullptr) munmap(shared_, sizeof(Cursor));
}

void CursorFile::Open(const std::filesystem::path& file) {
  const int descriptor = open(file.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  void* address = MAP_FAILED;
  // Written and not only made longer: a full disk is an error here and not a signal later.
  if (descriptor >= 0 && write(descriptor, &now_, sizeof(now_)) == static_cast<ssize_t>(sizeof(now_))) {
    address = mmap(nullptr, sizeof(Cursor), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  }
  if (descriptor >= 0) close(descriptor);
  if (address == MAP_FAILED) throw protocol::BadInput(file.string(), "can't be written");
  shared_ = static_cast<Cursor*>(address);
}

void CursorFile::Set(const Cursor& cursor) {
  const std::uint64_t even = now_.sequence;
  now_ = cursor;
  now_.sequence = even + 2;
  if (shared_ == nullptr) return;
  const std::atomic_ref sequence(shared_->sequence);
  sequence.store(even + 1, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_release);
  constexpr std::size_t kAfter = offsetof(Cursor, sequence) + sizeof(std::uint64_t);
  std::memcpy(reinterpret_cast<std::byte*>(shared_) + kAfter, reinterpret_cast<const std::byte*>(&now_) + kAfter,
              offsetof(Cursor, stray) - kAfter);
  shared_->operation = now_.operation;
  sequence.store(even + 2, std::memory_order_release);
}

void CursorFile::SetStray(std::int32_t stray) {
  if (shared_ != nullptr) std::atomic_ref(shared_->stray).store(stray, std::memory_order_relaxed);
}

}  // namespace lockstep::trainer
