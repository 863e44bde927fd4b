#include "harness/inputs/order.h"

#include <algorithm>

#include "harness/inputs/generator.h"

namespace lockstep::inputs {

protocol::Tensor Order(std::int64_t samples, std::int64_t global_batch, std::int64_t steps, bool keep_tail,
                       std::uint64_t seed) {
  Generator random(seed, "order");
  std::vector<std::int64_t> ids(static_cast<std::size_t>(steps * global_batch), -1);
  std::vector<std::int64_t> epoch;
  std::int64_t next = samples;  // position in the epoch
  for (std::int64_t s = 0; s < steps; ++s) {
    if (next >= samples || (!keep_tail && samples - next < global_batch)) {
      epoch = random.Permutation(samples);
      next = 0;
    }
    const std::int64_t batch = std::min(global_batch, samples - next);
    std::copy_n(epoch.begin() + next, batch, ids.begin() + s * global_batch);
    next += batch;
  }
  return protocol::Tensor::FromInt64({steps, global_batch}, ids);
}

std::vector<std::optional<Place>> FirstPlaces(const protocol::Tensor& order, std::int64_t samples) {
  std::vector<std::optional<Place>> places(static_cast<std::size_t>(samples));
  const std::int64_t steps = order.shape.at(0), width = order.shape.at(1);
  const auto ids = order.As<std::int64_t>();
  for (std::int64_t s = 0; s < steps; ++s) {
    const auto row = ids.subspan(static_cast<std::size_t>(s * width), static_cast<std::size_t>(width));
    const std::int64_t batch = std::find(row.begin(), row.end(), -1) - row.begin();
    for (std::int64_t position = 0; position < batch; ++position) {
      auto& place = places[static_cast<std::size_t>(row[static_cast<std::size_t>(position)])];
      if (!place) place = Place{s + 1, position, batch};
    }
  }
  return places;
}

std::int64_t ValidTargets(std::int64_t sequence, const Place& place) {
  const std::int64_t low = std::max<std::int64_t>(1, sequence * (2 + place.step % 3) / 10);
  if (place.batch == 1) return place.step % 2 == 1 ? sequence : low;
  if (place.batch == 2) return place.position == 0 ? sequence : low;
  if (place.position == place.batch - 1) return 1;
  return sequence - (sequence - low) * place.position / (place.batch - 2);
}

bool SampleCounts(const Place& place, std::int64_t invalid) {
  const auto invalid_before = [&](std::int64_t position) {
    return invalid * position * position / (place.batch * place.batch);
  };
  return invalid_before(place.position + 1) == invalid_before(place.position);
}

}  // namespace lockstep::inputs
