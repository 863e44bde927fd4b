#include <algorithm>
#include <cmath>

#include "harness/protocol/bad_input.h"
#include "harness/schedule/draw.h"

namespace lockstep::schedule {
namespace {

constexpr std::int64_t kMostCells = 1'000'000;

// One character cell of a rank's row.
struct Cell {
  const Box* box = nullptr;  // nothing: idle
  char text = ' ';
};

class Drawing {
 public:
  Drawing(const Picture& picture, const TerminalOptions& options) : picture_(picture), options_(options) {
    from_ = options.window.from;
    to_ = options.window.to == 0 ? picture.makespan : std::min(options.window.to, picture.makespan);
    for (const Box& box : picture.boxes) {
      widest_ = std::max(widest_, (std::ssize(Text(box)) + 1) * picture.shortest / (box.end - box.start));
      widest_ = std::max(widest_, std::int64_t{2});
    }
    margin_ = std::ssize("rank " + std::to_string(picture.ranks - 1)) + 2;
  }

  std::string Draw() {
    if (to_ > from_ &&
        (to_ - from_) / picture_.shortest > kMostCells / widest_ / static_cast<std::int64_t>(picture_.ranks)) {
      throw protocol::BadInput("show", "the drawing would have more than " + std::to_string(kMostCells) + " characters",
                               "choose a part of it with --from and --to, in ticks");
    }
    const std::int64_t cells = std::max<std::int64_t>(0, Column(to_));
    std::vector<std::vector<Cell>> rows(picture_.ranks, std::vector<Cell>(static_cast<std::size_t>(cells)));
    for (const Box& box : picture_.boxes) Put(box, &rows[box.rank]);
    std::string text = picture_.title + "\n";
    // A line ends where a shortest box does.
    const std::int64_t room = std::max(widest_, (options_.columns - margin_) / widest_ * widest_);
    for (std::int64_t begin = 0; begin < cells; begin += room) {
      const std::int64_t end = std::min(cells, begin + room);
      text += Ruler(begin, end);
      for (std::size_t rank = 0; rank < picture_.ranks; ++rank) text += RowText(rank, rows[rank], begin, end);
    }
    return text + Legend();
  }

 private:
  // The shortest box is `widest_` columns wide, which fits every label.
  std::int64_t Column(std::int64_t tick) const {
    const double exact =
        static_cast<double>(tick - from_) * static_cast<double>(widest_) / static_cast<double>(picture_.shortest);
    return std::llround(exact);
  }

  std::string Text(const Box& box) const {
    std::string text = box.label;
    if (!options_.color) {
      const std::size_t middle = text.find('&');
      text = middle == std::string::npos ? StyleOf(box.paint).letter + text
                                         : "F" + text.substr(0, middle) + "&B" + text.substr(middle + 1);
    }
    if (picture_.chunks == 1) return text;
    if (box.paint == Paint::kFused) text.insert(text.find('&'), ChunkLetter(box.chunk));
    return text + ChunkLetter(box.paint == Paint::kFused ? box.backward_chunk : box.chunk);
  }

  static std::string ChunkLetter(std::int64_t chunk) {
    return chunk < 26 ? std::string(1, static_cast<char>('a' + chunk)) : "." + std::to_string(chunk);
  }

  // In colour the text stands in the middle; without, it is followed by dashes to the end of its time.
  void Put(const Box& box, std::vector<Cell>* row) const {
    const std::int64_t begin = Column(box.start), end = Column(box.end), size = std::ssize(*row);
    const std::string text = Text(box);
    const std::int64_t at =
        options_.color ? begin + std::max<std::int64_t>(1, (end - begin - std::ssize(text) + 1) / 2) : begin;
    for (std::int64_t i = std::max<std::int64_t>(0, begin); i < std::min(end, size); ++i) {
      Cell& cell = (*row)[static_cast<std::size_t>(i)];
      cell.box = &box;
      const bool in_text = i >= at && i - at < std::ssize(text);
      cell.text = in_text ? text[static_cast<std::size_t>(i - at)] : !options_.color && i + 1 < end ? '-' : ' ';
    }
  }

  std::string RowText(std::size_t rank, const std::vector<Cell>& row, std::int64_t begin, std::int64_t end) const {
    std::string name = "rank " + std::to_string(rank);
    name.resize(static_cast<std::size_t>(margin_), ' ');
    std::string text = name;
    const Box* painted = nullptr;
    for (std::int64_t i = begin; i < end; ++i) {
      const Cell& cell = row[static_cast<std::size_t>(i)];
      const bool starts = cell.box != nullptr && i == std::max<std::int64_t>(0, Column(cell.box->start));
      if (options_.color && (cell.box != painted || i == begin)) {
        text += cell.box == nullptr ? "\033[0m" : "\033[38;5;16;48;5;" + std::to_string(Shade(*cell.box)) + "m";
      }
      painted = cell.box;
      // A thin line at the left tells a box from the one before.
      text += cell.box == nullptr        ? std::string(options_.color ? "\u00b7" : ".")
              : options_.color && starts ? std::string("\u258f")
                                         : std::string(1, cell.text);
    }
    return text + (options_.color ? "\033[0m\n" : "\n");
  }

  int Shade(const Box& box) const {
    const PaintStyle& style = StyleOf(box.paint);
    return style.terminal[picture_.chunks == 1 ? 0 : box.chunk == 0 ? 1 : 2];
  }

  // Ticks along the top, each where it begins.
  std::string Ruler(std::int64_t begin, std::int64_t end) const {
    std::string text(static_cast<std::size_t>(margin_ + end - begin), ' ');
    const std::int64_t step = std::max<std::int64_t>(1, (10 + widest_ - 1) / widest_) * picture_.shortest;
    for (std::int64_t tick = (from_ + step - 1) / step * step; tick < to_; tick += step) {
      const std::int64_t column = Column(tick);
      const std::string number = std::to_string(tick);
      if (column < begin || column + std::ssize(number) > end) continue;
      text.replace(static_cast<std::size_t>(margin_ + column - begin), number.size(), number);
    }
    text.replace(0, 5, "ticks");
    text.erase(text.find_last_not_of(' ') + 1);
    return text + "\n";
  }

  std::string Legend() const {
    std::string text;
    for (const PaintStyle& style : Paints()) {
      const auto shows = [&](const Box& box) { return box.paint == style.paint; };
      if (std::none_of(picture_.boxes.begin(), picture_.boxes.end(), shows)) continue;
      if (options_.color)
        text += "\033[38;5;16;48;5;" + std::to_string(style.terminal[picture_.chunks == 1 ? 0 : 2]) + "m";
      text += std::string(options_.color ? " " : "") + style.letter + (options_.color ? " \033[0m " : " ") +
              style.word + "   ";
    }
    text += std::string(options_.color ? "\u00b7" : ".") + " idle";
    if (picture_.chunks > 1) text += "   a, b, ... a rank's stages in order";
    return text + "\n";
  }

  const Picture& picture_;
  const TerminalOptions& options_;
  std::int64_t from_ = 0, to_ = 0, widest_ = 1, margin_ = 0;
};

}  // namespace

std::string DrawForTerminal(const Picture& picture, const TerminalOptions& options) {
  return Drawing(picture, options).Draw();
}

}  // namespace lockstep::schedule
