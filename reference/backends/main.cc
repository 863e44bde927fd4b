// lockstep-trainer-NAME: the reference trainer on the backend that it is linked with.
#include "reference/trainer/rank_main.h"

int main(int argc, char** argv) {
  lockstep::trainer::Seams seams;
  return lockstep::trainer::RunTrainer(argc, argv, lockstep::trainer::LinkedBackend(), seams);
}
