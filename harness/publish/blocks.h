// Pieces of terminal text that `conform` and `train` share: colours, and the block of figures by rank.
#pragma once

#include <string>
#include <vector>

#include "harness/protocol/record.h"
#include "harness/publish/figures.h"

namespace lockstep::publish {

// ANSI colours, or none. Widths are the plain text's: paint after padding.
class Paint {
 public:
  explicit Paint(bool color) : color_(color) {}
  std::string Bold(const std::string& text) const { return In("1", text); }
  std::string Dim(const std::string& text) const { return In("2", text); }
  std::string Verdict(const std::string& text, bool good) const { return In(good ? "1;32" : "1;31", text); }
  std::string Status(protocol::Status status) const;

 private:
  std::string In(const char* code, const std::string& text) const {
    return color_ ? "\x1b[" + std::string(code) + "m" + text + "\x1b[0m" : text;
  }
  bool color_;
};

// rank, peak memory with its largest categories, idle share: a line a rank, at most 16 (the rest in one line).
std::string RankBlock(const std::vector<RankFigures>& ranks, const Paint& paint);

// Of the cases that hold: RankBlock of largest peaks and summed times, then tokens/s. "" where no case has figures.
std::string FiguresBlock(const protocol::Record& record, const Paint& paint);

}  // namespace lockstep::publish
