// lockstep-trainer-template: the Kokkos backend under another name.
#include "reference/backends/kokkos/rank_backend.h"

int main(int argc, char** argv) {
  lockstep::backends::kokkos::RankBackend kokkos;
  lockstep::trainer::Backend backend = kokkos.get();
  backend.name = "template";
  backend.description = "A backend from the template.";
  lockstep::trainer::Seams seams;
  return lockstep::trainer::RunTrainer(argc, argv, backend, seams);
}
