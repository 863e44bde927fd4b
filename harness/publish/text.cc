#include "harness/publish/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <sstream>

namespace lockstep::publish {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

bool IsContinuation(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

// Bytes of the well-formed sequence that `text` starts with, 0 where it is none (Unicode 15, table 3-7).
std::size_t SequenceLength(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  const std::size_t length = first >= 0xC2 && first <= 0xDF   ? 2
                             : first >= 0xE0 && first <= 0xEF ? 3
                             : first >= 0xF0 && first <= 0xF4 ? 4
                                                              : 0;
  if (length == 0 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if (!IsContinuation(text[i])) return 0;
  }
  const unsigned char second = byte(1);
  if (first == 0xE0 && second < 0xA0) return 0;  // overlong
  if (first == 0xED && second > 0x9F) return 0;  // surrogates
  if (first == 0xF0 && second < 0x90) return 0;  // overlong
  if (first == 0xF4 && second > 0x8F) return 0;  // beyond U+10FFFF
  return length;
}

std::size_t BytesOfColumns(std::string_view text, std::size_t columns) {
  std::size_t bytes = 0;
  for (; bytes < text.size(); ++bytes) {
    if (IsContinuation(text[bytes])) continue;
    if (columns-- == 0) break;
  }
  return bytes;
}

std::string Replaced(std::string_view text, std::string (*of)(char)) {
  std::string result;
  for (const char c : Printable(text)) result += of(c);
  return result;
}

std::string XmlCharacter(char c) {
  switch (c) {
    case '&':
      return "&amp;";
    case '<':
      return "&lt;";
    case '>':
      return "&gt;";
    case '"':
      return "&quot;";
    case '\'':
      return "&apos;";
    default:
      return std::string(1, c);
  }
}

std::string XmlAttributeCharacter(char c) {
  if (c == '\n') return "&#10;";
  if (c == '\t') return "&#9;";
  return XmlCharacter(c);
}

std::string MarkdownCharacter(char c) {
  if (c == '\n' || c == '\t') return " ";
  if (c == '&' || c == '<' || c == '>') return XmlCharacter(c);
  if (std::string_view("\\`*_{}[]|#~!@$").find(c) != std::string_view::npos) return std::string("\\") + c;
  return std::string(1, c);
}

}  // namespace

std::string Printable(std::string_view text) {
  std::string result;
  for (std::size_t i = 0; i < text.size();) {
    const std::string_view rest = text.substr(i);
    const std::size_t length = SequenceLength(rest);
    const unsigned char c = static_cast<unsigned char>(rest[0]);
    if (length == 0 || rest.substr(0, 3) == "\xEF\xBF\xBE" || rest.substr(0, 3) == "\xEF\xBF\xBF") {
      result += kReplacement;
    } else if (length == 2 && c == 0xC2 && static_cast<unsigned char>(rest[1]) < 0xA0) {
      result += fmt::format("\\x{:02x}", static_cast<unsigned char>(rest[1]));  // U+0080 to U+009F
    } else if (c == '\r' && rest.substr(0, 2) == "\r\n") {
      // the newline follows
    } else if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7F) {
      result += fmt::format("\\x{:02x}", c);
    } else {
      result += rest.substr(0, length);
    }
    i += std::max<std::size_t>(length, 1);
  }
  return result;
}

std::string OneLine(std::string_view text) {
  std::string result = Printable(text);
  std::replace(result.begin(), result.end(), '\n', ' ');
  std::replace(result.begin(), result.end(), '\t', ' ');
  return result;
}

std::size_t Columns(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return !IsContinuation(c); }));
}

std::string CutEnd(const std::string& text, std::size_t columns) {
  if (Columns(text) <= columns) return text;
  return text.substr(0, BytesOfColumns(text, columns - 1)) + "…";
}

std::string CutMiddle(const std::string& text, std::size_t columns) {
  const std::size_t width = Columns(text);
  if (width <= columns) return text;
  const std::size_t tail = columns / 2;
  return text.substr(0, BytesOfColumns(text, columns - 1 - tail)) + "…" +
         text.substr(BytesOfColumns(text, width - tail));
}

std::string Pad(const std::string& text, std::size_t columns) {
  const std::size_t width = Columns(text);
  return width < columns ? text + std::string(columns - width, ' ') : text;
}

std::string PadLeft(const std::string& text, std::size_t columns) {
  const std::size_t width = Columns(text);
  return width < columns ? std::string(columns - width, ' ') + text : text;
}

std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

std::vector<std::string> LastLines(const std::string& text, std::size_t count) {
  std::vector<std::string> lines = Lines(text);
  std::erase_if(lines, [](const std::string& line) { return line.find_first_not_of(" \t\r") == std::string::npos; });
  if (lines.size() > count) lines.erase(lines.begin(), lines.end() - static_cast<std::ptrdiff_t>(count));
  return lines;
}

std::vector<std::string> Wrap(const std::string& text, std::size_t columns) {
  std::vector<std::string> wrapped;
  for (const std::string& line : Lines(text)) {
    std::string rest = line;
    while (Columns(rest) > columns) {
      const std::size_t limit = BytesOfColumns(rest, columns);
      std::size_t cut = rest.rfind(' ', limit);
      if (cut == std::string::npos || cut == 0) cut = limit;
      wrapped.push_back(rest.substr(0, cut));
      rest = rest.substr(rest[cut] == ' ' ? cut + 1 : cut);
    }
    wrapped.push_back(rest);
  }
  return wrapped;
}

std::string WithCommas(std::int64_t value) {
  std::string digits = std::to_string(value);
  const std::int64_t first = digits[0] == '-' ? 1 : 0;
  for (std::int64_t i = std::ssize(digits) - 3; i > first; i -= 3) digits.insert(static_cast<std::size_t>(i), 1, ',');
  return digits;
}

std::string Significant(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "Inf" : "-Inf";
  const double size = std::abs(value);
  if (value == std::floor(value) && size < 1e3) return fmt::format("{:.0f}", value);
  if (size >= 1e9 || size < 1e-2) return fmt::format("{:.2e}", value);
  if (size >= 1e3) return WithCommas(std::llround(value));
  if (size >= 1e2) return fmt::format("{:.0f}", value);
  return size >= 10 ? fmt::format("{:.1f}", value) : fmt::format("{:.2f}", value);
}

std::string Bytes(std::int64_t bytes) {
  constexpr const char* kUnits[] = {"B", "kB", "MB", "GB", "TB", "PB"};
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; std::abs(value) >= 999.95 && unit + 1 < std::size(kUnits); ++unit) value /= 1000;
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string Seconds(double seconds) {
  if (!std::isfinite(seconds)) return Significant(seconds) + " s";
  if (seconds >= 120) {
    const std::int64_t whole = std::llround(seconds);
    if (whole < 7200) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
    return fmt::format("{} h {:02} min", whole / 3600, whole % 3600 / 60);
  }
  if (seconds == 0) return "0 s";
  return seconds < 1 ? fmt::format("{:.3g} s", seconds) : fmt::format("{:.2f} s", seconds);
}

std::string XmlAttribute(std::string_view text) { return Replaced(text, XmlAttributeCharacter); }
std::string XmlText(std::string_view text) { return Replaced(text, XmlCharacter); }
std::string MarkdownText(std::string_view text) { return Replaced(text, MarkdownCharacter); }

}  // namespace lockstep::publish
