// lockstep-trainer-kokkos: the reference trainer on Kokkos, one MPI process a rank.
#include <memory>

#include "reference/backends/kokkos/backend.h"
#include "reference/trainer/rank_main.h"

int main(int argc, char** argv) {
  namespace kokkos = lockstep::backends::kokkos;
  // Kokkos starts with the world: --describe and --help need neither.
  std::unique_ptr<kokkos::Runtime> runtime;
  const lockstep::trainer::Backend backend{
      .name = "kokkos",
      .description = "Kernels in Kokkos, matrix products by oneDNN, ranks over MPI.",
      .make_device =
          [&runtime](std::int64_t capacity, int ordinal) {
            if (!runtime) runtime = std::make_unique<kokkos::Runtime>();
            return kokkos::MakeDevice(capacity, ordinal);
          },
      .make_world = [](int* count, char*** values) { return kokkos::MakeWorld(count, values); },
      .abort = [](int code) { kokkos::Abort(code); }};
  lockstep::trainer::Seams seams;
  return lockstep::trainer::RunTrainer(argc, argv, backend, seams);
}
