#include "harness/cli/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>

namespace lockstep::cli {
namespace {

constexpr double kLineSeconds = 2;  // between lines where they can't be rewritten
constexpr std::int64_t kColumns = 120;

}  // namespace

bool IsTerminal(std::FILE* stream) { return isatty(fileno(stream)) != 0; }

bool WantsColor(std::FILE* stream) { return IsTerminal(stream) && std::getenv("NO_COLOR") == nullptr; }

std::int64_t Columns(std::FILE* stream) {
  winsize size{};
  if (ioctl(fileno(stream), TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  const char* said = std::getenv("COLUMNS");
  const long columns = said == nullptr ? 0 : std::strtol(said, nullptr, 10);
  return columns >= 20 ? columns : kColumns;
}

void LiveLine::Show(const std::string& text) {
  const auto now = std::chrono::steady_clock::now();
  if (terminal_) {
    if (text != shown_) std::fprintf(stream_, "\r\033[K%s", text.c_str());
  } else {
    if (std::chrono::duration<double>(now - last_).count() < kLineSeconds || text == shown_) return;
    std::fprintf(stream_, "%s\n", text.c_str());
    last_ = now;
  }
  shown_ = text;
  std::fflush(stream_);
}

void LiveLine::Last(const std::string& text) {
  std::fprintf(stream_, terminal_ ? "\r\033[K%s\n" : "%s\n", text.c_str());
  shown_.clear();
  std::fflush(stream_);
}

void LiveLine::Clear() {
  if (terminal_ && !shown_.empty()) std::fprintf(stream_, "\r\033[K");
  shown_.clear();
  std::fflush(stream_);
}

std::string Duration(double seconds) {
  const long whole = std::lround(seconds);
  char text[64];
  if (whole < 60) {
    std::snprintf(text, sizeof text, "%ld s", whole);
  } else if (whole < 3600) {
    std::snprintf(text, sizeof text, "%ld:%02ld", whole / 60, whole % 60);
  } else {
    std::snprintf(text, sizeof text, "%ld:%02ld:%02ld", whole / 3600, whole / 60 % 60, whole % 60);
  }
  return text;
}

}  // namespace lockstep::cli
