// Ranks as processes, for the tests of NCCL: each a child made by fork(), with what it wrote to standard error kept.
//
// The parent must not have used a virtual GPU: a child would inherit its state without its threads. So programs that
// use this one use devices in children alone.
#pragma once

#include <gtest/gtest.h>
#include <nccl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "suites/virtual_gpu/library_memory.h"

namespace lockstep::suites::virtual_gpu {

inline constexpr unsigned kDeadline = 120;  // seconds until a rank that hangs is ended

// What the ranks of one test share.
struct Common {
  pthread_barrier_t barrier;
  ncclUniqueId id;
};

class Rank {
 public:
  Rank(Common& common, int rank, int ranks) : common_(common), rank_(rank), ranks_(ranks) {}

  int rank() const { return rank_; }
  int ranks() const { return ranks_; }
  // Waits for all ranks that live; not to be used after one has died.
  void Barrier() { pthread_barrier_wait(&common_.barrier); }

  // The id that rank 0 makes; collective.
  ncclUniqueId Id() {
    Barrier();
    if (rank_ == 0) {
      EXPECT_EQ(ncclGetUniqueId(&common_.id), ncclSuccess);
    }
    Barrier();
    return common_.id;
  }
  // A communicator of all ranks; collective.
  ncclComm_t Communicator(const char* name = nullptr) {
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.commName = name;
    ncclComm_t communicator = nullptr;
    EXPECT_EQ(ncclCommInitRankConfig(&communicator, ranks_, Id(), rank_, &config), ncclSuccess);
    return communicator;
  }

 private:
  Common& common_;
  int rank_, ranks_;
};

struct RankEnd {
  int status = 0;      // of waitpid
  std::string errors;  // standard error

  bool Passed() const { return WIFEXITED(status) && WEXITSTATUS(status) == 0; }
  bool Says(const std::string& words) const { return errors.find(words) != std::string::npos; }
};

inline std::string ReadAll(int file) {
  std::string text;
  char buffer[4096];
  for (ssize_t at = 0, bytes; (bytes = pread(file, buffer, sizeof buffer, at)) > 0; at += bytes) {
    text.append(buffer, static_cast<std::size_t>(bytes));
  }
  return text;
}

// Runs `body` as every rank and waits for all. A rank whose expectations fail, or that ends otherwise than `body`
// returning, has not Passed().
inline std::vector<RankEnd> RunRanks(int ranks, const std::function<void(Rank&)>& body) {
  auto* const common =
      static_cast<Common*>(mmap(nullptr, sizeof(Common), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  pthread_barrierattr_t shared;
  pthread_barrierattr_init(&shared);
  pthread_barrierattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
  pthread_barrier_init(&common->barrier, &shared, static_cast<unsigned>(ranks));
  std::vector<pid_t> processes;
  std::vector<int> files;
  std::fflush(nullptr);
  for (int rank = 0; rank < ranks; ++rank) {
    files.push_back(memfd_create("stderr", 0));
    const pid_t child = fork();
    if (child == 0) {
      alarm(kDeadline);
      dup2(files.back(), STDERR_FILENO);
      Rank self(*common, rank, ranks);
      body(self);
      std::fflush(nullptr);
      _exit(testing::Test::HasFailure() ? 1 : 0);
    }
    processes.push_back(child);
  }
  std::vector<RankEnd> ends(processes.size());
  for (std::size_t rank = 0; rank < ends.size(); ++rank) {
    waitpid(processes[rank], &ends[rank].status, 0);
    ends[rank].errors = ReadAll(files[rank]);
    close(files[rank]);
  }
  munmap(common, sizeof(Common));
  return ends;
}

inline void ExpectAllPassed(const std::vector<RankEnd>& ends) {
  for (std::size_t rank = 0; rank < ends.size(); ++rank) {
    EXPECT_TRUE(ends[rank].Passed()) << "rank " << rank << ", status " << ends[rank].status << ": "
                                     << ends[rank].errors;
  }
}

// Asks, as a program would, until there is an answer other than "nothing yet".
inline ncclResult_t AwaitError(ncclComm_t communicator) {
  while (true) {
    ncclResult_t result = ncclSuccess;
    EXPECT_EQ(ncclCommGetAsyncError(communicator, &result), ncclSuccess);
    if (result != ncclSuccess && result != ncclInProgress) return result;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

}  // namespace lockstep::suites::virtual_gpu
