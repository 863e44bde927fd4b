#include "harness/publish/system.h"

#include <fmt/format.h>
#include <sched.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <map>
#include <random>
#include <set>
#include <tuple>

#include "harness/publish/revision.h"

namespace lockstep::publish {
namespace {

using nlohmann::json;

// Names, not prefixes: what else stands in an environment is nobody's business.
constexpr const char* kAllowed[] = {"CUDA_DEVICE_ORDER",
                                    "CUDA_LAUNCH_BLOCKING",
                                    "CUDA_VISIBLE_DEVICES",
                                    "CUBLAS_WORKSPACE_CONFIG",
                                    "DNNL_MAX_CPU_ISA",
                                    "HIP_VISIBLE_DEVICES",
                                    "KOKKOS_NUM_THREADS",
                                    "KOKKOS_PRINT_CONFIGURATION",
                                    "MKL_NUM_THREADS",
                                    "NCCL_ALGO",
                                    "NCCL_DEBUG",
                                    "NCCL_IB_DISABLE",
                                    "NCCL_P2P_DISABLE",
                                    "NCCL_PROTO",
                                    "NCCL_SHM_DISABLE",
                                    "OMPI_MCA_btl",
                                    "OMPI_MCA_hwloc_base_binding_policy",
                                    "OMPI_MCA_mpi_yield_when_idle",
                                    "OMPI_MCA_pml",
                                    "OMP_DYNAMIC",
                                    "OMP_NUM_THREADS",
                                    "OMP_PLACES",
                                    "OMP_PROC_BIND",
                                    "OPENBLAS_NUM_THREADS",
                                    "SLURM_JOB_NUM_NODES",
                                    "SLURM_NTASKS",
                                    "TORCH_NCCL_BLOCKING_WAIT"};

// The value of "key : value" in a file of /proc; "" where there is none.
std::string ProcValue(const char* file, const std::string& key) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    if (line.rfind(key, 0) != 0) continue;
    const std::size_t colon = line.find(':');
    const std::size_t start = colon == std::string::npos ? colon : line.find_first_not_of(" \t", colon + 1);
    if (start != std::string::npos) return line.substr(start);
  }
  return "";
}

std::int64_t MemoryBytes() {
  return static_cast<std::int64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<std::int64_t>(sysconf(_SC_PAGE_SIZE));
}

// Cores that this process may use: fewer than the machine's in a container or under taskset.
int UsableCores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return CPU_COUNT(&set);
  return static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
}

std::string OsName() {
  std::ifstream in("/etc/os-release");
  for (std::string line; std::getline(in, line);) {
    if (line.rfind("PRETTY_NAME=", 0) == 0) {
      line = line.substr(12);
      std::erase(line, '"');
      return line;
    }
  }
  return "";
}

std::int64_t MemoryOf(const json& machine) {
  return machine.value("cpu", json::object()).value("memory_bytes", std::int64_t{0});
}

json Devices(const json& machine, const std::vector<protocol::Hello>& hellos) {
  std::set<std::tuple<std::string, std::string, std::string>> seen;
  json devices = json::array();
  for (const protocol::Hello& hello : hellos) {
    if (!seen.insert({hello.host, hello.device_kind, hello.device_name}).second) continue;
    json device = {{"kind", hello.device_kind}, {"name", hello.device_name}};
    if (hello.device_kind == "host") device["memory_bytes"] = MemoryOf(machine);
    devices.push_back(device);
  }
  return devices;
}

std::string Lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

// Libraries that the ranks named. Ranks that differ are told of: "4.1.4, 4.1.5".
std::map<std::string, std::string> Libraries(const std::vector<protocol::Hello>& hellos) {
  std::map<std::string, std::set<std::string>> versions;
  for (const protocol::Hello& hello : hellos) {
    for (const auto& [name, version] : hello.libraries) versions[Lower(name)].insert(version);
  }
  std::map<std::string, std::string> libraries;
  for (const auto& [name, all] : versions) {
    for (const std::string& version : all) libraries[name] += (libraries[name].empty() ? "" : ", ") + version;
  }
  return libraries;
}

}  // namespace

json Tool() {
  json tool = {{"name", "lockstep"}, {"version", LOCKSTEP_VERSION}, {"revision", kRevision}};
  tool["dirty"] = kRevisionKnown ? json(kDirty) : json(nullptr);
  return tool;
}

json Machine() {
  json system = json::object();
  utsname names{};
  if (uname(&names) == 0) {
    system["host"] = names.nodename;
    system["kernel"] = fmt::format("{} {} {}", names.sysname, names.release, names.machine);
  }
  if (const std::string os = OsName(); !os.empty()) system["os"] = os;
  system["cpu"] = {{"model", ProcValue("/proc/cpuinfo", "model name")},
                   {"cores", sysconf(_SC_NPROCESSORS_ONLN)},
                   {"usable_cores", UsableCores()},
                   {"memory_bytes", MemoryBytes()}};
  return system;
}

json System(const json& machine, const std::vector<protocol::Hello>& hellos) {
  json system = machine;
  system["devices"] = Devices(machine, hellos);
  std::set<std::string> hosts;
  for (const protocol::Hello& hello : hellos) hosts.insert(hello.host);
  system["topology"] = {{"hosts", hosts.size()}, {"ranks", hellos.size()}};
  system["libraries"] = json::object();
  for (const auto& [name, version] : Libraries(hellos)) {
    const bool own_key = name == "cuda" || name == "nccl" || name == "mpi" || name == "kokkos";
    (own_key ? system[name] : system["libraries"][name]) = version;
  }
  return system;
}

bool OnVirtualDevices(const json& system) {
  if (!system.is_object() || !system.contains("devices") || !system["devices"].is_array()) return false;
  return std::any_of(system["devices"].begin(), system["devices"].end(), [](const json& device) {
    return device.is_object() && device.contains("kind") && device["kind"] == "virtual";
  });
}

json Environment() {
  json environment = json::object();
  for (const char* name : kAllowed) {
    if (const char* value = std::getenv(name)) environment[name] = value;
  }
  return environment;
}

std::string IsoTime(std::int64_t unix_seconds) {
  const std::time_t time = static_cast<std::time_t>(unix_seconds);
  std::tm parts{};
  gmtime_r(&time, &parts);
  char text[32];
  std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

std::string IsoNow() { return IsoTime(std::time(nullptr)); }

std::int64_t UnixTime(const std::string& iso) {
  std::tm parts{};
  const char* end = strptime(iso.c_str(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return end != nullptr && *end == '\0' ? static_cast<std::int64_t>(timegm(&parts)) : 0;
}

std::string NewRunId() {
  std::string id = IsoNow();
  std::erase_if(id, [](char c) { return c == '-' || c == ':'; });
  return fmt::format("{}-{:08x}", id, std::random_device()());
}

}  // namespace lockstep::publish
