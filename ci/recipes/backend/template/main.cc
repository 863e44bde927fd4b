// lockstep-trainer-template: the Kokkos backend under another name.
#include "reference/trainer/rank_main.h"

int main(int argc, char** argv) {
  lockstep::trainer::Backend backend = lockstep::trainer::LinkedBackend();
  backend.name = "template";
  backend.description = "A backend from the template.";
  lockstep::trainer::Seams seams;
  return lockstep::trainer::RunTrainer(argc, argv, backend, seams);
}
