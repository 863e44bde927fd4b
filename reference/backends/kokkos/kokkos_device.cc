#include "reference/backends/kokkos/kokkos_device.h"

#include <dnnl.h>

#include <cstring>
#include <fstream>
#include <stdexcept>

#include "reference/backends/kokkos/backend.h"
#include "reference/backends/kokkos/parallel.h"

namespace lockstep::backends::kokkos {
namespace {

constexpr std::int64_t kCopyBlock = std::int64_t{1} << 18;  // bytes

std::string ProcessorName() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("model name", 0) != 0) continue;
    const std::size_t colon = line.find(": ");
    if (colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown processor";
}

std::string Version(int number) {
  return std::to_string(number / 10000) + "." + std::to_string(number / 100 % 100) + "." + std::to_string(number % 100);
}

}  // namespace

KokkosDevice::KokkosDevice(std::int64_t memory_capacity_bytes, int ordinal)
    : ordinal_(ordinal), ledger_(memory_capacity_bytes) {
  if (!Kokkos::is_initialized()) throw std::logic_error("MakeDevice needs a living Runtime");
}

device::DeviceInfo KokkosDevice::Info() const {
  device::DeviceInfo info;
  info.kind = "host";
  info.name = ProcessorName() + ", Kokkos " + Space::name();
  info.ordinal = ordinal_;
  const dnnl_version_t* dnnl = dnnl_version();
  info.libraries["kokkos"] = Version(KOKKOS_VERSION);
  info.libraries["kokkos_threads"] = std::to_string(Space().concurrency());
  info.libraries["onednn"] =
      std::to_string(dnnl->major) + "." + std::to_string(dnnl->minor) + "." + std::to_string(dnnl->patch);
  info.libraries["bf16_products"] = bf16_products_.native() ? "native" : "widened to fp32";
  return info;
}

device::Buffer KokkosDevice::Allocate(std::size_t bytes, device::Category category) {
  ledger_.Take(category, static_cast<std::int64_t>(bytes), ordinal_);
  void* const data = arena_.Take(bytes);
  if (data == nullptr) {
    ledger_.Give(category, static_cast<std::int64_t>(bytes));
    throw device::OutOfMemory("out of memory: rank's device " + std::to_string(ordinal_) + ": " +
                              device::NameOf(category) + " wants " + std::to_string(bytes) + " bytes, " +
                              std::to_string(ledger_.use().total_now) + " in use, and the host has no more");
  }
#ifndef NDEBUG
  std::memset(data, 0xFF, bytes);  // NaN: what is read before it is written shows
#endif
  return device::Buffer(this, data, bytes, category);
}

void KokkosDevice::Free(void* data, std::size_t bytes, device::Category category) {
  arena_.Give(data, bytes);
  ledger_.Give(category, static_cast<std::int64_t>(bytes));
}

void KokkosDevice::ToDevice(void* target, const void* host_source, std::size_t bytes) {
  Copy(target, host_source, bytes);
}

void KokkosDevice::ToHost(void* host_target, const void* source, std::size_t bytes) {
  Copy(host_target, source, bytes);
}

void KokkosDevice::Copy(void* target, const void* source, std::size_t bytes) {
  ForBlocks(static_cast<std::int64_t>(bytes), kCopyBlock, [=](std::int64_t begin, std::int64_t end) {
    std::memcpy(static_cast<char*>(target) + begin, static_cast<const char*>(source) + begin, end - begin);
  });
}

void KokkosDevice::Zero(void* target, std::size_t bytes) {
  ForBlocks(static_cast<std::int64_t>(bytes), kCopyBlock, [=](std::int64_t begin, std::int64_t end) {
    std::memset(static_cast<char*>(target) + begin, 0, end - begin);
  });
}

// Kokkos with OpenMP warns on standard error, at each start of each rank, that threads are not bound and that they
// outnumber cores; both are as they should be where ranks share cores.
Runtime::Runtime() {
  char program[] = "lockstep", quiet[] = "--kokkos-disable-warnings";
  char* arguments[] = {program, quiet, nullptr};
  int count = 2;
  Kokkos::initialize(count, arguments);
}
Runtime::~Runtime() { Kokkos::finalize(); }

std::unique_ptr<device::Device> MakeDevice(std::int64_t memory_capacity_bytes, int ordinal) {
  return std::make_unique<KokkosDevice>(memory_capacity_bytes, ordinal);
}

}  // namespace lockstep::backends::kokkos
