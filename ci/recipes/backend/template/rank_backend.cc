// Template of a backend: the Kokkos backend's device under another name.
#include <memory>
#include <optional>

#include "reference/backends/kokkos/backend.h"
#include "reference/mpi/world.h"
#include "reference/trainer/rank_main.h"

namespace lockstep::trainer {

Backend LinkedBackend() {
  using backends::kokkos::Runtime;
  const auto runtime = std::make_shared<std::optional<Runtime>>();
  return {.name = "template",
          .description = "A backend from the template.",
          .make_device =
              [runtime](std::int64_t capacity, int ordinal) {
                if (!runtime->has_value()) runtime->emplace();
                return backends::kokkos::MakeDevice(capacity, ordinal);
              },
          .make_world = mpi::MakeWorld,
          .abort = mpi::Abort};
}

}  // namespace lockstep::trainer
