#include "harness/stalls/covers.h"

#include <algorithm>
#include <tuple>

namespace lockstep::stalls {

std::vector<Stretch> Sweep(std::vector<Cover> covers, const protocol::Interval& window,
                           const std::vector<double>& cuts) {
  std::vector<double> bounds{window.began, window.ended};
  bounds.insert(bounds.end(), cuts.begin(), cuts.end());
  for (const Cover& cover : covers) {
    bounds.push_back(cover.time.began);
    bounds.push_back(cover.time.ended);
  }
  std::sort(bounds.begin(), bounds.end());
  bounds.erase(std::unique(bounds.begin(), bounds.end()), bounds.end());
  std::sort(covers.begin(), covers.end(), [](const Cover& a, const Cover& b) { return a.time.began < b.time.began; });
  std::vector<Stretch> stretches;
  std::vector<const Cover*> open;
  auto next = covers.begin();
  for (std::size_t i = 0; i + 1 < bounds.size(); ++i) {
    const double began = bounds[i];
    for (; next != covers.end() && next->time.began <= began; ++next) open.push_back(&*next);
    std::erase_if(open, [&](const Cover* cover) { return cover->time.ended <= began; });
    if (began < window.began || began >= window.ended) continue;
    const auto top = std::max_element(open.begin(), open.end(), [](const Cover* a, const Cover* b) {
      return std::tuple(a->layer, a->time.began) < std::tuple(b->layer, b->time.began);
    });
    const std::int32_t item = top == open.end() ? -1 : (*top)->item;
    const bool goes_on = !stretches.empty() && stretches.back().item == item && stretches.back().time.ended == began;
    if (goes_on && !std::binary_search(cuts.begin(), cuts.end(), began)) {
      stretches.back().time.ended = bounds[i + 1];  // what began or ended here is covered itself
    } else {
      stretches.push_back({{began, bounds[i + 1]}, item});
    }
  }
  return stretches;
}

}  // namespace lockstep::stalls
