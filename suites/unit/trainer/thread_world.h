// A world of ranks that are threads of one process, of which one runs at a time.
//
// The tests' stand-in for a backend's communicator: no launcher, no other process, and every interleaving is decided by
// the order in which ranks wait. A rank holds the turn until it waits for another; when every rank waits, or one of
// them has thrown, all waits end with CommunicationError, so that no test hangs.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "reference/device/communicator.h"

namespace lockstep::trainer::testing {

class ThreadWorld {
 public:
  explicit ThreadWorld(int size) : size_(size) {}
  // Runs `rank_main` once for each rank and joins; rethrows what the first failing rank threw.
  void Run(const std::function<void(device::Communicator& world)>& rank_main);

 private:
  friend class ThreadCommunicator;
  // What the members of a group give to one collective; complete when all have.
  struct Meeting {
    std::vector<std::vector<float>> floats;
    std::vector<std::vector<double>> doubles;
    std::vector<std::string> strings;
    int arrived = 0;
  };
  struct Letter {
    std::vector<float> payload;
    device::Edge edge;
  };
  struct Group {
    std::vector<int> members;                                 // ranks of the world
    std::map<std::int64_t, Meeting> meetings;                 // by the number of the collective
    std::map<std::pair<int, int>, std::vector<Letter>> mail;  // by sender and receiver, in order
  };
  // Gives the turn away until `ready`. Throws when a rank has failed, or when every rank waits for another.
  void WaitUntil(const std::string& what, const std::function<bool()>& ready);
  void Changed();

  int size_;
  std::mutex turn_;
  std::condition_variable_any changed_;
  std::int64_t epoch_ = 0;       // of what ranks wait for
  int running_ = 0, stuck_ = 0;  // ranks that have looked since the last change and found nothing
  bool failed_ = false;
  std::map<std::string, std::shared_ptr<Group>> groups_;
};

}  // namespace lockstep::trainer::testing
