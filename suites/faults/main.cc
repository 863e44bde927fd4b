// lockstep-trainer-BACKEND-faulty: the reference trainer with one fault switched on.
//
//   lockstep-trainer-BACKEND-faulty --list-faults     the catalogue as JSON
//   lockstep-trainer-BACKEND-faulty --fault NAME ...  the rest as for lockstep-trainer-BACKEND
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>

#include "reference/trainer/rank_main.h"
#include "suites/faults/fault.h"

namespace {

nlohmann::json Catalogue() {
  nlohmann::json list = nlohmann::json::array();
  for (const lockstep::faults::Fault* fault : lockstep::faults::AllFaults()) {
    list.push_back({{"name", fault->name},
                    {"kind", fault->kind},
                    {"mechanism", fault->mechanism},
                    {"source", fault->met_in},
                    {"workload_case", fault->case_id},
                    {"found_by", fault->found_by},
                    {"check", fault->check},
                    {"step", fault->step},
                    {"phase", fault->phase},
                    {"tensor", fault->tensor},
                    {"diagnosis", fault->diagnosis}});
  }
  return list;
}

const char* Name(const char* path) {
  const char* const slash = std::strrchr(path, '/');
  return slash == nullptr ? path : slash + 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], "--list-faults") == 0) {
    std::printf("%s\n", Catalogue().dump(2).c_str());
    return 0;
  }
  if (argc < 3 || std::strcmp(argv[1], "--fault") != 0) {
    std::fprintf(stderr, "%s: expected --list-faults, or --fault NAME and requests\n", Name(argv[0]));
    return 2;
  }
  for (const lockstep::faults::Fault* fault : lockstep::faults::AllFaults()) {
    if (fault->name != argv[2]) continue;
    argv[2] = argv[0];
    const auto seams = fault->make();
    return lockstep::trainer::RunTrainer(argc - 2, argv + 2, lockstep::trainer::LinkedBackend(), *seams);
  }
  std::fprintf(stderr, "%s: no fault is called %s\n", Name(argv[0]), argv[2]);
  return 2;
}
