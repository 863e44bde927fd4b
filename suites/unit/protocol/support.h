// What the tests of protocol/ share: a folder that goes away, and the form that every refusal has.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <string>

#include "harness/protocol/bad_input.h"
#include "suites/unit/protocol/samples.h"

namespace lockstep::protocol {

class Scratch {
 public:
  Scratch() {
    std::string name = (std::filesystem::temp_directory_path() / "lockstep_protocol_XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("no scratch folder");
    path_ = name;
  }
  ~Scratch() { std::filesystem::remove_all(path_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

// The one line with which `attempt` is refused; fails the test where it is not.
template <typename Attempt>
std::string Refusal(Attempt attempt) {
  try {
    attempt();
  } catch (const BadInput& refusal) {
    const std::string line = refusal.what();
    EXPECT_EQ(line.find('\n'), std::string::npos) << "more than one line: " << line;
    return line;
  }
  ADD_FAILURE() << "was not refused";
  return "";
}

}  // namespace lockstep::protocol
