#include "harness/protocol/bad_input.h"

#include <algorithm>
#include <string_view>

namespace lockstep::protocol {
namespace {

// Bytes of the UTF-8 sequence at the front of `text` by its first byte; 0 where none begins or it is broken.
std::size_t SequenceLength(std::string_view text) {
  const auto first = static_cast<unsigned char>(text.front());
  const std::size_t length = first < 0x80 ? 1 : first >= 0xf0 && first < 0xf5 ? 4 : first >= 0xe0 ? 3 : 2;
  if ((first >= 0x80 && first < 0xc2) || first >= 0xf5 || length > text.size()) return 0;
  const auto continues = [](char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; };
  return std::all_of(text.begin() + 1, text.begin() + static_cast<std::ptrdiff_t>(length), continues) ? length : 0;
}

}  // namespace

std::string OneLine(const std::string& text, std::size_t longest) {
  std::string line;
  for (std::string_view rest = text; !rest.empty();) {
    const std::size_t length = SequenceLength(rest);
    const bool control = static_cast<unsigned char>(rest.front()) < 0x20 || rest.front() == 0x7f;
    if (line.size() + std::max<std::size_t>(length, 1) > longest) return line + "...";
    line += length == 0 || control ? "?" : std::string(rest.substr(0, length));
    rest.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return line;
}

}  // namespace lockstep::protocol
