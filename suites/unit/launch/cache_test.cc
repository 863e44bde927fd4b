#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "harness/launch/launch.h"
#include "harness/protocol/bad_input.h"

namespace lockstep::launch {
namespace {

// A variable of the environment, unset for as long as the object lives.
class Unset {
 public:
  explicit Unset(const char* name) : name_(name) {
    const char* value = std::getenv(name);
    had_ = value != nullptr;
    if (had_) value_ = value;
    ::unsetenv(name);
  }
  ~Unset() { had_ ? ::setenv(name_, value_.c_str(), 1) : ::unsetenv(name_); }
  Unset(const Unset&) = delete;
  Unset& operator=(const Unset&) = delete;

 private:
  const char* name_;
  bool had_ = false;
  std::string value_;
};

TEST(CacheFolder, IsAskedForWhereThereIsNoHome) {
  const Unset cache("LOCKSTEP_CACHE"), home("HOME");
  EXPECT_THAT([] { CacheFolder(); },
              testing::ThrowsMessage<protocol::BadInput>(testing::HasSubstr("set LOCKSTEP_CACHE to a folder")));
}

TEST(CacheFolder, LiesInTheHomeFolderUnlessItIsNamed) {
  const Unset cache("LOCKSTEP_CACHE");
  ASSERT_NE(std::getenv("HOME"), nullptr);
  EXPECT_EQ(CacheFolder(), std::string(std::getenv("HOME")) + "/.cache/lockstep");
  ::setenv("LOCKSTEP_CACHE", "/elsewhere", 1);
  EXPECT_EQ(CacheFolder(), "/elsewhere");
}

}  // namespace
}  // namespace lockstep::launch
