#include "reference/virtual_gpu/engine/report.h"

#include <unistd.h>

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "reference/virtual_gpu/engine/block_runner.h"
#include "reference/virtual_gpu/engine/sanitizers.h"

namespace lockstep::virtual_gpu {
namespace {

constexpr std::size_t kLine = 1024;

void Write(const char* standing, const char* format, va_list arguments) {
  char line[kLine];
  int used = std::snprintf(line, sizeof line, "lockstep virtual GPU: %s%s", standing, *standing != 0 ? ": " : "");
  if (used < 0 || used >= static_cast<int>(sizeof line)) used = 0;
  const auto room = sizeof line - static_cast<std::size_t>(used) - 1;
  const int more = std::vsnprintf(line + used, room, format, arguments);
  used += more < 0 ? 0 : more < static_cast<int>(room) ? more : static_cast<int>(room) - 1;
  line[used++] = '\n';
  [[maybe_unused]] const auto written = write(STDERR_FILENO, line, static_cast<std::size_t>(used));
}

}  // namespace

void Standing(char* text, std::size_t bytes) {
  *text = 0;
  const BlockRunner* const runner = BlockRunner::Current();
  if (runner == nullptr) return;
  std::snprintf(text, bytes, "kernel %s, block (%u, %u, %u), thread (%u, %u, %u)", runner->grid().name, blockIdx.x,
                blockIdx.y, blockIdx.z, threadIdx.x, threadIdx.y, threadIdx.z);
}

void Say(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  Write("", format, arguments);
  va_end(arguments);
}

void SayStanding(const char* format, ...) {
  char standing[kLine];
  Standing(standing, sizeof standing);
  va_list arguments;
  va_start(arguments, format);
  Write(standing, format, arguments);
  va_end(arguments);
}

void Die(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  Write("", format, arguments);
  va_end(arguments);
  std::abort();
}

void DieStanding(const char* format, ...) {
  char standing[kLine];
  Standing(standing, sizeof standing);
  va_list arguments;
  va_start(arguments, format);
  Write(standing, format, arguments);
  va_end(arguments);
  std::abort();
}

const char* FileName(Site site) {
  const char* const slash = std::strrchr(site.file, '/');
  return slash == nullptr ? site.file : slash + 1;
}

}  // namespace lockstep::virtual_gpu

// NOLINTBEGIN(bugprone-reserved-identifier): the names are the interface
// Sanitizers call these before or after they report; they know the source line, we know whose it is.
extern "C" {
#ifdef LOCKSTEP_VIRTUAL_GPU_ASAN
void __asan_on_error() {
  if (lockstep::virtual_gpu::BlockRunner::Current() != nullptr) {
    lockstep::virtual_gpu::SayStanding("in the report of AddressSanitizer");
  }
}
#endif
#ifdef LOCKSTEP_VIRTUAL_GPU_TSAN
void __tsan_on_report(void*) {
  if (lockstep::virtual_gpu::BlockRunner::Current() != nullptr) {
    lockstep::virtual_gpu::SayStanding("in the report of ThreadSanitizer");
  }
}
#endif
void __ubsan_on_report() {
  if (lockstep::virtual_gpu::BlockRunner::Current() != nullptr) {
    lockstep::virtual_gpu::SayStanding("in the report of UndefinedBehaviorSanitizer");
  }
}
}
// NOLINTEND(bugprone-reserved-identifier)
