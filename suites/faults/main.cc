// lockstep-trainer-kokkos-faulty: the reference trainer with one fault switched on.
//
//   lockstep-trainer-kokkos-faulty --list-faults              the catalogue as JSON
//   lockstep-trainer-kokkos-faulty --fault NAME ...      the rest as for lockstep-trainer-kokkos
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>

#include "reference/backends/kokkos/rank_backend.h"
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
                    {"check", fault->check},
                    {"step", fault->step},
                    {"phase", fault->phase},
                    {"tensor", fault->tensor},
                    {"diagnosis", fault->diagnosis}});
  }
  return list;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], "--list-faults") == 0) {
    std::printf("%s\n", Catalogue().dump(2).c_str());
    return 0;
  }
  if (argc < 3 || std::strcmp(argv[1], "--fault") != 0) {
    std::fprintf(stderr, "lockstep-trainer-kokkos-faulty: expected --list-faults, or --fault NAME and requests\n");
    return 2;
  }
  for (const lockstep::faults::Fault* fault : lockstep::faults::AllFaults()) {
    if (fault->name != argv[2]) continue;
    argv[2] = argv[0];
    const auto seams = fault->make();
    lockstep::backends::kokkos::RankBackend backend;
    return lockstep::trainer::RunTrainer(argc - 2, argv + 2, backend.get(), *seams);
  }
  std::fprintf(stderr, "lockstep-trainer-kokkos-faulty: no fault is called %s\n", argv[2]);
  return 2;
}
