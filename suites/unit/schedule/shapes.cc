#include "suites/unit/schedule/shapes.h"

#include <algorithm>
#include <random>

namespace lockstep::schedule {

protocol::Schedule FromLines(std::int64_t stages, std::int64_t micro_batches, const std::vector<std::string>& lines,
                             const Placement& placement) {
  protocol::Schedule schedule{"test", stages, micro_batches, {}, placement};
  for (const std::string& line : lines) schedule.ranks.push_back(protocol::ParseActions(line, "test"));
  return schedule;
}

protocol::Schedule Make(const std::string& name, const Shape& shape) {
  const Generator& generator = FindGenerator(name, "test");
  protocol::Schedule schedule{name, shape.ranks * shape.chunks, shape.micro_batches, generator.make(shape)};
  if (generator.place) schedule.placement = generator.place(shape);
  return schedule;
}

void ForEachShape(const Generator& generator, std::int64_t max_ranks, std::int64_t max_chunks,
                  const std::function<std::vector<std::int64_t>(std::int64_t)>& micro_batches,
                  const std::function<void(const Shape&)>& body) {
  for (std::int64_t p = 2; p <= max_ranks; ++p) {
    for (std::int64_t v = generator.min_chunks; v <= std::min(generator.max_chunks, max_chunks); ++v) {
      for (const std::int64_t m : micro_batches(p)) {
        if (m >= 1 && WhyNot(generator, {p, v, m}).empty()) body({p, v, m});
      }
    }
  }
}

std::vector<Shape> RandomShapes(const Generator& generator, std::size_t count, unsigned seed) {
  std::mt19937 random(seed);
  const auto draw = [&](std::int64_t from, std::int64_t to) {
    return std::uniform_int_distribution<std::int64_t>(from, to)(random);
  };
  std::vector<Shape> shapes;
  while (shapes.size() < count) {
    const Shape shape{draw(2, 12), draw(generator.min_chunks, std::min<std::int64_t>(5, generator.max_chunks)),
                      draw(1, 40)};
    if (WhyNot(generator, shape).empty()) shapes.push_back(shape);
  }
  return shapes;
}

std::string Describe(const Generator& generator, const Shape& shape) {
  return generator.name + " p=" + std::to_string(shape.ranks) + " v=" + std::to_string(shape.chunks) +
         " m=" + std::to_string(shape.micro_batches);
}

}  // namespace lockstep::schedule
