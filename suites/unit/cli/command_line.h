// A folder of a test's own, with trainers that do as they are told and workloads that take no time.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "harness/protocol/files.h"
#include "harness/protocol/record.h"
#include "suites/unit/cli/run.h"

namespace lockstep::cli {

class CommandLine : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = std::filesystem::temp_directory_path() / "cli-test-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  // fake_trainer.py's modes.
  std::string FakeTrainer(const std::string& mode, const std::string& more = "") {
    const std::string script = LOCKSTEP_SOURCE_DIR "/suites/unit/cli/fake_trainer.py";
    return Write(mode + ".toml", "name = \"fake\"\nprotocol = 1\ndescribe = [\"python3\", \"" + script + "\", \"" +
                                     mode + "\", \"--describe\"]\nlaunch = [\"python3\", \"" + script + "\", \"" +
                                     mode + "\", \"{requests}\"]\nstart_seconds = 60\n" + more);
  }

  std::string SmallWorkload() {
    return Write("small.toml",
                 "[model]\nkind = \"mlp\"\nsizes = [4, 6, 2]\n[optimizer]\nkind = \"sgd\"\n"
                 "[training]\nglobal_batch = 4\nsteps = 3\n");
  }

  std::string Write(const std::filesystem::path& name, const std::string& text) {
    std::filesystem::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name) << text;
    return folder_ / name;
  }

  protocol::Record ReadRecord() const {
    return protocol::RecordFromJson(protocol::ReadJson(folder_ / "out" / "record.json"), "record.json");
  }

  std::filesystem::path folder_;
};

}  // namespace lockstep::cli
