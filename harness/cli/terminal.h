// What a person sees while something runs: one line, rewritten on a terminal; otherwise a line every two seconds.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>

namespace lockstep::cli {

bool IsTerminal(std::FILE* stream);
bool WantsColor(std::FILE* stream);       // a terminal, and NO_COLOR is not set
std::int64_t Columns(std::FILE* stream);  // a terminal's width; otherwise $COLUMNS, or 120

class LiveLine {
 public:
  explicit LiveLine(std::FILE* stream) : stream_(stream), terminal_(IsTerminal(stream)) {}
  void Show(const std::string& text);  // as often as you like
  void Last(const std::string& text);  // shown in any case, and ended
  void Clear();                        // away with it, before other output

 private:
  std::FILE* stream_;
  bool terminal_;
  std::string shown_;
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

std::string Duration(double seconds);  // "5 s", "3:07", "1:02:03"

}  // namespace lockstep::cli
