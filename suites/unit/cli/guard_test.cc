#include "harness/cli/guard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <new>
#include <stdexcept>

#include "harness/protocol/bad_input.h"

namespace lockstep::cli {
namespace {

template <typename Exception>
std::pair<int, std::string> Thrown(const Exception& exception) {
  testing::internal::CaptureStderr();
  const int code = Guarded([&]() -> int { throw exception; });
  return {code, testing::internal::GetCapturedStderr()};
}

std::filesystem::filesystem_error OfPath(std::errc error) {
  return {"rename", "/from", "/to", std::make_error_code(error)};
}

TEST(Guard, GivesTheSubcommandsOwnCode) {
  EXPECT_EQ(Guarded([] { return 124; }), 124);
}

TEST(Guard, MakesOneLineAndACodeOfWhateverIsThrown) {
  using testing::Pair;
  EXPECT_THAT(Thrown(protocol::BadInput("w.toml", "is torn")), Pair(2, "lockstep: w.toml: is torn\n"));
  EXPECT_THAT(Thrown(OfPath(std::errc::permission_denied)), Pair(2, "lockstep: /to: Permission denied\n"));
  EXPECT_THAT(Thrown(OfPath(std::errc::no_space_on_device)), Pair(4, "lockstep: /to: No space left on device\n"));
  EXPECT_THAT(Thrown(std::bad_alloc()), Pair(2, testing::HasSubstr("out of memory")));
  EXPECT_THAT(Thrown(std::length_error("vector::_M_default_append")), Pair(2, testing::HasSubstr("out of memory")));
  EXPECT_THAT(Thrown(std::runtime_error("two\nlines")), Pair(4, "lockstep: two?lines\n"));
}

}  // namespace
}  // namespace lockstep::cli
