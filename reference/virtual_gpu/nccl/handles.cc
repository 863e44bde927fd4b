#include "reference/virtual_gpu/nccl/handles.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <set>
#include <vector>

#include "reference/virtual_gpu/nccl/group.h"

namespace lockstep::virtual_gpu::nccl {
namespace {

struct Table {
  std::mutex mutex;
  std::set<const ncclComm*> alive;
  pid_t process = 0;  // whose they are: a child that fork() made must not abort them
};

// Never destroyed: threads of streams may outlive static objects.
Table& TheTable() {
  static Table* const table = new Table;
  return *table;
}

void AbortAll() {
  Table& table = TheTable();
  if (table.process != getpid()) return;
  std::vector<std::shared_ptr<Communicator>> alive;
  {
    const std::lock_guard lock(table.mutex);
    for (const ncclComm* handle : table.alive) alive.push_back(handle->communicator);
  }
  for (const auto& communicator : alive) communicator->Abort();
}

std::string& Refusal() {
  thread_local std::string text;
  return text;
}

}  // namespace

ncclComm_t Add(std::shared_ptr<Communicator> communicator) {
  Table& table = TheTable();
  const std::lock_guard lock(table.mutex);
  if (table.process != getpid()) {
    table.process = getpid();
    table.alive.clear();
    std::atexit(AbortAll);
  }
  auto* const handle = new ncclComm{std::move(communicator)};
  table.alive.insert(handle);
  return handle;
}

std::shared_ptr<Communicator> Find(const ncclComm* handle) {
  Table& table = TheTable();
  const std::lock_guard lock(table.mutex);
  return table.alive.count(handle) == 0 ? nullptr : handle->communicator;
}

void Remove(ncclComm_t handle) {
  handle->communicator->Close();
  Table& table = TheTable();
  const std::lock_guard lock(table.mutex);
  table.alive.erase(handle);
  delete handle;
}

ncclResult_t Refuse(ncclResult_t result, const char* call, const std::string& why) {
  Refusal() = "virtual NCCL: " + std::string(call) + ": " + why;
  std::fprintf(stderr, "%s\n", Refusal().c_str());
  SpoilGroup(result);
  return result;
}

const std::string& LastRefusal() { return Refusal(); }

}  // namespace lockstep::virtual_gpu::nccl
