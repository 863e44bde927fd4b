// The CUDA backend as a rank's main takes it. CUDA starts with the world, or with the first device where there is none:
// --describe and --help need no GPU and no driver.
#include <memory>
#include <optional>
#include <utility>

#include "reference/backends/cuda/backend.h"
#include "reference/backends/cuda/world.h"
#include "reference/mpi/world.h"
#include "reference/trainer/rank_main.h"

namespace lockstep::trainer {

Backend LinkedBackend() {
  using backends::cuda::Runtime;
  const auto runtime = std::make_shared<std::optional<Runtime>>();
  return {.name = "cuda",
          .description = "Kernels in CUDA, matrix products by cuBLAS, ranks over NCCL and MPI.",
          .make_device =
              [runtime](std::int64_t capacity, int ordinal) {
                if (!runtime->has_value()) runtime->emplace(ordinal, 0, backends::cuda::AskedForTF32());
                return backends::cuda::MakeDevice(**runtime, capacity);
              },
          .make_world =
              [runtime](int* count, char*** values, std::chrono::seconds deadline) {
                auto hosts = mpi::MakeMpiWorld(count, values, deadline);
                runtime->emplace(hosts->Rank(), backends::cuda::NumberOnNode(*hosts), backends::cuda::AskedForTF32());
                return backends::cuda::MakeWorld(**runtime, std::move(hosts), deadline);
              },
          .abort = mpi::Abort};
}

}  // namespace lockstep::trainer
