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

thread_local constinit const char* call_of_thread = "";

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
  const BlockRunner* const runner = BlockRunner::Current();
  if (runner == nullptr) {
    std::snprintf(text, bytes, "%s", call_of_thread);
    return;
  }
  std::snprintf(text, bytes, "kernel %s, block (%u, %u, %u), thread (%u, %u, %u)", runner->grid().name, blockIdx.x,
                blockIdx.y, blockIdx.z, threadIdx.x, threadIdx.y, threadIdx.z);
}

void StandAt(const char* call) { call_of_thread = call; }

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
namespace {

void SayInReport(const char* sanitizer) {
  char standing[1024];
  lockstep::virtual_gpu::Standing(standing, sizeof standing);
  if (*standing != 0) lockstep::virtual_gpu::SayStanding("in the report of %s", sanitizer);
}

}  // namespace

extern "C" {
#ifdef LOCKSTEP_VIRTUAL_GPU_ASAN
void __asan_on_error() { SayInReport("AddressSanitizer"); }
#endif
#ifdef LOCKSTEP_VIRTUAL_GPU_TSAN
void __tsan_on_report(void*) { SayInReport("ThreadSanitizer"); }
#endif
void __ubsan_on_report() { SayInReport("UndefinedBehaviorSanitizer"); }
}
// NOLINTEND(bugprone-reserved-identifier)
