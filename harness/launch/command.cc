// A manifest's commands: placeholders filled in, and short ones run to their end.
#include <poll.h>
#include <unistd.h>

#include <cstdlib>

#include "harness/launch/launch.h"
#include "harness/launch/process.h"
#include "harness/protocol/bad_input.h"
#include "harness/protocol/fields.h"
#include "harness/protocol/files.h"
#include "harness/protocol/whole_file.h"

namespace lockstep::launch {
namespace {

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::map<std::string, std::string> Placeholders(const protocol::Manifest& manifest, const Job& job) {
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  const std::string python = Variable("LOCKSTEP_PYTHON");
  return {{"world_size", std::to_string(job.world_size)},
          {"fault", job.fault},
          {"manifest_dir", std::filesystem::absolute(manifest.file).parent_path()},
          {"bin", self.parent_path()},
          {"cache", CacheFolder()},
          {"python", python.empty() ? (CacheFolder() / "venv-adapters" / "bin" / "python").string() : python}};
}

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = std::filesystem::temp_directory_path() / "lockstep-XXXXXX";
    if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error(pattern + ": can't be made");
    path_ = pattern;
  }
  ~TemporaryFolder() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

std::string OneLine(std::string text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) text.pop_back();
  const std::size_t newline = text.rfind('\n');
  return newline == std::string::npos ? text : text.substr(newline + 1);
}

}  // namespace

double StartSeconds(const Limits& limits, std::int64_t ranks) {
  constexpr double kOfOneRank = 0.125;
  return limits.start_seconds * (1 + kOfOneRank * static_cast<double>(ranks - 1));
}

std::filesystem::path CacheFolder() {
  const std::string said = Variable("LOCKSTEP_CACHE"), home = Variable("HOME");
  if (!said.empty()) return said;
  if (home.empty()) {
    throw protocol::BadInput("environment", "HOME and LOCKSTEP_CACHE are not set",
                             "set LOCKSTEP_CACHE to a folder where Lockstep may keep files");
  }
  return std::filesystem::path(home) / ".cache" / "lockstep";
}

std::filesystem::path WritableCache() {
  const std::filesystem::path folder = CacheFolder();
  try {
    protocol::MakeFolder(folder);
    const protocol::WholeFile probe(folder / "probe");  // goes again by itself; permissions alone don't tell
  } catch (const protocol::BadInput& error) {
    throw protocol::BadInput("cache folder", error.what(), "set LOCKSTEP_CACHE to a folder that can be written to");
  }
  return folder;
}

std::vector<std::string> Expand(const protocol::Manifest& manifest, const std::vector<std::string>& command,
                                const Job& job) {
  const std::map<std::string, std::string> values = Placeholders(manifest, job);
  std::vector<std::string> words;
  for (const std::string& word : command) {
    if (word == "{requests}") {
      for (const auto& request : job.requests) words.push_back(std::filesystem::absolute(request));
      continue;
    }
    std::string filled;
    for (std::size_t i = 0; i < word.size();) {
      const std::size_t end = word[i] == '{' ? word.find('}', i) : std::string::npos;
      const std::string name = end == std::string::npos ? "" : word.substr(i + 1, end - i - 1);
      const auto found = values.find(name);
      if (name.empty() || found == values.end()) {
        filled += word[i++];
        continue;
      }
      filled += found->second;
      i = end + 1;
    }
    words.push_back(filled);
  }
  return words;
}

std::string Capture(const protocol::Manifest& manifest, const std::vector<std::string>& command, double seconds) {
  const TemporaryFolder folder;
  ProcessTree::Command process;
  process.arguments = Expand(manifest, command, {});
  process.environment = manifest.environment;
  process.stdout_file = folder.path() / "stdout";
  process.stderr_file = folder.path() / "stderr";
  const std::string where = "trainer '" + manifest.name + "'";
  const std::string advice = manifest.setup.empty() ? "" : "run " + manifest.setup + " first";
  if (process.arguments.empty()) throw protocol::BadInput(where, "its manifest has no such command");
  try {
    ProcessTree tree(process);
    pollfd fd{tree.root_fd(), POLLIN, 0};
    const int ready = poll(&fd, 1, static_cast<int>(seconds * 1000));
    const bool ended = tree.RootEnded();
    const ExitStatus status = tree.root_status();
    tree.End();
    const std::string problem = protocol::ReadTextFile(process.stderr_file);
    if (!ended) {
      throw protocol::BadInput(where, process.arguments[0] + (ready < 0 ? " was interrupted" : " doesn't answer"),
                               advice);
    }
    if (status.exit != 0) {
      throw protocol::BadInput(where, process.arguments[0] + " " + ToString(status) + ": " + OneLine(problem), advice);
    }
  } catch (const protocol::BadInput& error) {
    const std::string text = error.what();
    if (text.starts_with(where)) throw;
    throw protocol::BadInput(where, text, advice);
  }
  return protocol::ReadTextFile(process.stdout_file);
}

}  // namespace lockstep::launch
