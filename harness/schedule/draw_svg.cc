#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>

#include "harness/protocol/bad_input.h"
#include "harness/schedule/draw.h"

namespace lockstep::schedule {
namespace {

// Pixels.
constexpr double kRow = 30, kBox = 26, kTop = 44, kLeft = 72, kRight = 96, kAxis = 26, kLegend = 40;
constexpr double kShortest = 26, kWidest = 16'000, kCharacter = 7.4;
constexpr std::size_t kMostBoxes = 200'000;

std::string Escaped(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    escaped += c == '&' ? "&amp;" : c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '"' ? "&quot;" : std::string(1, c);
  }
  return escaped;
}

// A colour mixed with white: the first chunks of a rank are pale, the last one is full.
std::string Mixed(const std::string& color, double white) {
  std::string mixed = "#";
  for (const std::size_t at : {1, 3, 5}) {
    const double part = static_cast<double>(std::strtol(color.substr(at, 2).c_str(), nullptr, 16));
    mixed += fmt::format("{:02x}", std::lround(part + (255 - part) * white));
  }
  return mixed;
}

class Svg {
 public:
  Svg(const Picture& picture, const Window& window) : picture_(picture) {
    from_ = window.from;
    to_ = window.to == 0 ? picture.makespan : std::min(window.to, picture.makespan);
    const double ticks = static_cast<double>(std::max<std::int64_t>(1, to_ - from_));
    scale_ = std::min(WidthOfShortest() / static_cast<double>(picture.shortest), kWidest / ticks);
    width_ = std::max(kLeft + ticks * scale_ + kRight, 620.0);
    bottom_ = kTop + static_cast<double>(picture.ranks) * kRow;
  }

  std::string Draw() {
    const double height = bottom_ + kAxis + kLegend;
    text_ = fmt::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:.0f}\" height=\"{1:.0f}\" viewBox=\"0 0 {0:.0f} "
        "{1:.0f}\" "
        "font-family=\"Helvetica, Arial, sans-serif\" font-size=\"12\">\n<title>{2}</title>\n"
        "<defs><pattern id=\"idle\" width=\"7\" height=\"7\" patternUnits=\"userSpaceOnUse\" "
        "patternTransform=\"rotate(45)\"><rect width=\"7\" height=\"7\" fill=\"#f4f4f4\"/>"
        "<rect width=\"1.6\" height=\"7\" fill=\"#d5d5d5\"/></pattern></defs>\n"
        "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
        "<text x=\"{3}\" y=\"26\" font-size=\"15\" font-weight=\"bold\">{2}</text>\n",
        width_, height, Escaped(picture_.title), kLeft);
    for (std::size_t rank = 0; rank < picture_.ranks; ++rank) Row(rank);
    for (const Box& box : picture_.boxes) Draw(box);
    Axis();
    Legend();
    return text_ + "</svg>\n";
  }

 private:
  // Wide enough for every label, as long as that is not absurd.
  double WidthOfShortest() const {
    double width = kShortest;
    for (const Box& box : picture_.boxes) {
      const double relative = static_cast<double>(picture_.shortest) / static_cast<double>(box.end - box.start);
      width = std::max(width, (static_cast<double>(box.label.size()) * kCharacter + 6) * relative);
    }
    return width;
  }

  double X(std::int64_t tick) const { return kLeft + static_cast<double>(tick - from_) * scale_; }
  double Y(std::size_t rank) const { return kTop + static_cast<double>(rank) * kRow + (kRow - kBox) / 2; }

  void Row(std::size_t rank) {
    std::int64_t busy = 0;
    for (const Box& box : picture_.boxes) {
      if (box.rank == rank && box.paint != Paint::kCommunication) busy += box.end - box.start;
    }
    text_ += fmt::format(
        "<text x=\"{:.0f}\" y=\"{:.1f}\" text-anchor=\"end\">rank {}</text>\n"
        "<rect x=\"{:.2f}\" y=\"{:.1f}\" width=\"{:.2f}\" height=\"{:.0f}\" fill=\"url(#idle)\"/>\n",
        kLeft - 10, Y(rank) + kBox / 2 + 4, rank, X(from_), Y(rank), X(to_) - X(from_), kBox);
    if (picture_.makespan == 0) return;
    text_ += fmt::format(
        "<text x=\"{:.2f}\" y=\"{:.1f}\" fill=\"#555\">idle {:.1f}%</text>\n", X(to_) + 10, Y(rank) + kBox / 2 + 4,
        100.0 * static_cast<double>(picture_.makespan - busy) / static_cast<double>(picture_.makespan));
  }

  void Draw(const Box& box) {
    if (box.end <= from_ || box.start >= to_) return;
    const double left = X(std::max(box.start, from_)), right = X(std::min(box.end, to_));
    const PaintStyle& style = StyleOf(box.paint);
    text_ +=
        fmt::format("<g><title>{}: {}, ticks {} to {}</title>", Escaped(box.action), style.word, box.start, box.end);
    const auto rectangle = [&](double top, double height, const char* color, std::int64_t chunk) {
      text_ += fmt::format(
          "<rect x=\"{:.2f}\" y=\"{:.1f}\" width=\"{:.2f}\" height=\"{:.1f}\" fill=\"{}\" stroke=\"#333\" "
          "stroke-width=\"0.7\"/>",
          left, top, right - left, height, Mixed(color, Paleness(chunk)));
    };
    if (box.paint == Paint::kFused) {
      rectangle(Y(box.rank), kBox / 2, StyleOf(Paint::kForward).color, box.chunk);
      rectangle(Y(box.rank) + kBox / 2, kBox / 2, StyleOf(Paint::kBackward).color, box.backward_chunk);
      const std::size_t middle = box.label.find('&');
      Label(box.label.substr(0, middle), (left + right) / 2, Y(box.rank) + kBox / 4, right - left, 10);
      Label(box.label.substr(middle + 1), (left + right) / 2, Y(box.rank) + 3 * kBox / 4, right - left, 10);
    } else {
      rectangle(Y(box.rank), kBox, style.color, box.chunk);
      Label(box.label, (left + right) / 2, Y(box.rank) + kBox / 2, right - left, 12);
    }
    text_ += "</g>\n";
  }

  double Paleness(std::int64_t chunk) const {
    if (picture_.chunks == 1) return 0;
    return 0.6 * (1 - static_cast<double>(chunk) / static_cast<double>(picture_.chunks - 1));
  }

  void Label(const std::string& label, double x, double y, double room, double size) {
    if (static_cast<double>(label.size()) * kCharacter > room) return;
    text_ += fmt::format("<text x=\"{:.2f}\" y=\"{:.1f}\" font-size=\"{:.0f}\" text-anchor=\"middle\">{}</text>", x,
                         y + size * 0.36, size, Escaped(label));
  }

  // About one number every 80 pixels, at 1, 2 or 5 times a power of ten.
  void Axis() {
    constexpr std::array<std::int64_t, 3> kDigits{1, 2, 5};
    std::int64_t step = 1;
    for (std::size_t i = 0; static_cast<double>(step) * scale_ < 80 && step < to_; ++i) {
      step = kDigits[(i + 1) % 3] * (i % 3 == 2 ? step / 5 * 10 : step / kDigits[i % 3]);
    }
    for (std::int64_t tick = (from_ + step - 1) / step * step; tick <= to_; tick += step) {
      text_ += fmt::format(
          "<line x1=\"{0:.2f}\" y1=\"{1:.1f}\" x2=\"{0:.2f}\" y2=\"{2:.1f}\" stroke=\"#777\"/>"
          "<text x=\"{0:.2f}\" y=\"{3:.1f}\" text-anchor=\"middle\" fill=\"#555\" font-size=\"11\">{4}</text>\n",
          X(tick), bottom_, bottom_ + 5, bottom_ + 18, tick);
    }
    text_ +=
        fmt::format("<text x=\"{:.0f}\" y=\"{:.1f}\" text-anchor=\"end\" fill=\"#555\" font-size=\"11\">ticks</text>\n",
                    kLeft - 10, bottom_ + 18);
  }

  void Legend() {
    double x = kLeft;
    const double y = bottom_ + kAxis + 4;
    const auto entry = [&](const std::string& fill, const std::string& word) {
      text_ += fmt::format(
          "<rect x=\"{:.0f}\" y=\"{:.1f}\" width=\"18\" height=\"14\" fill=\"{}\" stroke=\"#333\" "
          "stroke-width=\"0.7\"/>"
          "<text x=\"{:.0f}\" y=\"{:.1f}\">{}</text>\n",
          x, y, fill, x + 24, y + 11.5, word);
      x += 24 + static_cast<double>(word.size()) * 6.4 + 22;
    };
    for (const PaintStyle& style : Paints()) {
      const auto shows = [&](const Box& box) {
        const bool half = style.paint == Paint::kForward || style.paint == Paint::kBackward;
        return box.paint == style.paint || (half && box.paint == Paint::kFused);
      };
      if (style.paint == Paint::kFused) continue;  // both halves have their own
      if (std::any_of(picture_.boxes.begin(), picture_.boxes.end(), shows)) entry(style.color, style.word);
    }
    entry("url(#idle)", "idle");
    if (picture_.chunks > 1) {
      text_ += fmt::format("<text x=\"{:.0f}\" y=\"{:.1f}\" fill=\"#555\">paler: a rank's earlier stages</text>\n", x,
                           y + 11.5);
    }
  }

  const Picture& picture_;
  std::int64_t from_ = 0, to_ = 0;
  double scale_ = 1, width_ = 0, bottom_ = 0;
  std::string text_;
};

}  // namespace

std::string DrawSvg(const Picture& picture, const Window& window) {
  const auto inside = std::count_if(picture.boxes.begin(), picture.boxes.end(), [&](const Box& box) {
    return box.end > window.from && (window.to == 0 || box.start < window.to);
  });
  if (static_cast<std::size_t>(inside) > kMostBoxes) {
    throw protocol::BadInput("show", "the drawing would have " + std::to_string(inside) + " boxes",
                             "choose a part of it with --from and --to, in ticks");
  }
  return Svg(picture, window).Draw();
}

}  // namespace lockstep::schedule
