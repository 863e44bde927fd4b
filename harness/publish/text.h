// Text as terminals, XML and Markdown need it: printable, measured in columns, cut, wrapped; numbers for people.
//
// Whatever a trainer wrote passes through Printable first, so that no byte of it can steer a terminal, break a parser
// or be taken for markup. Columns are counted in code points: names are close to ASCII.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lockstep::publish {

// Valid UTF-8 without control characters: bytes that are no UTF-8 (and U+FFFE, U+FFFF) become U+FFFD, control
// characters other than tab and newline become \xNN. Carriage returns before a newline go.
std::string Printable(std::string_view text);
std::string OneLine(std::string_view text);  // Printable, with newlines and tabs as spaces

std::size_t Columns(std::string_view text);
std::string CutEnd(const std::string& text, std::size_t columns);     // "dp=4,pp=2,micro_bat…"
std::string CutMiddle(const std::string& text, std::size_t columns);  // "pipeline.…_microbatches"
std::string Pad(const std::string& text, std::size_t columns);
std::string PadLeft(const std::string& text, std::size_t columns);
// Lines of at most `columns`, broken at spaces (or anywhere in a longer word); existing newlines are kept.
std::vector<std::string> Wrap(const std::string& text, std::size_t columns);
std::vector<std::string> Lines(const std::string& text);
// The last `count` lines that aren't empty.
std::vector<std::string> LastLines(const std::string& text, std::size_t count);

std::string WithCommas(std::int64_t value);  // "12,345,678"
std::string Significant(double value);       // "0.93", "12.3", "4,812", "3.2e-08", "NaN"
std::string Bytes(std::int64_t bytes);       // "79.2 kB": decimal units, as in the record
std::string Seconds(double seconds);         // "0.012 s", "1.50 s", "2 min 03 s"

// &, <, >, quotes; line ends and tabs as references, so that attributes keep them. Takes raw text.
std::string XmlAttribute(std::string_view text);
std::string XmlText(std::string_view text);
// One line of Markdown that stays text: markup characters as entities or behind a backslash. Takes raw text.
std::string MarkdownText(std::string_view text);

}  // namespace lockstep::publish
