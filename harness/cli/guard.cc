#include "harness/cli/guard.h"

#include <cstdio>
#include <filesystem>
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>

#include "harness/protocol/bad_input.h"

namespace lockstep::cli {
namespace {

constexpr int kBadInput = 2, kInfrastructure = 4;

// What the one who named the path can mend; a full or a broken disk is not among it.
bool IsOfThePath(const std::error_code& code) {
  for (const std::errc errc :
       {std::errc::permission_denied, std::errc::operation_not_permitted, std::errc::no_such_file_or_directory,
        std::errc::not_a_directory, std::errc::is_a_directory, std::errc::too_many_symbolic_link_levels,
        std::errc::filename_too_long, std::errc::read_only_file_system, std::errc::file_exists}) {
    if (code == errc) return true;
  }
  return false;
}

constexpr const char* kTooLarge = "out of memory: what was asked for is too large for this machine";

}  // namespace

int Complain(int code, const std::string& text) {
  std::fprintf(stderr, "lockstep: %s\n", protocol::OneLine(text).c_str());
  return code;
}

int Guarded(const std::function<int()>& run) {
  try {
    return run();
  } catch (const protocol::BadInput& error) {
    return Complain(kBadInput, error.what());
  } catch (const std::filesystem::filesystem_error& error) {
    const std::string path = error.path2().empty() ? error.path1() : error.path2();
    return Complain(IsOfThePath(error.code()) ? kBadInput : kInfrastructure, path + ": " + error.code().message());
  } catch (const std::bad_alloc&) {
    return Complain(kBadInput, kTooLarge);
  } catch (const std::length_error&) {
    return Complain(kBadInput, kTooLarge);
  } catch (const std::exception& error) {
    return Complain(kInfrastructure, error.what());
  }
}

}  // namespace lockstep::cli
