#include "harness/launch/launch.h"

#include <algorithm>

#include "harness/launch/attempt.h"
#include "harness/launch/diagnosis.h"
#include "harness/protocol/bad_input.h"

namespace lockstep::launch {
namespace {

// A trainer that never gets as far as a hello does not deserve one more start for each request that is left.
constexpr int kFruitlessStarts = 3;

RunEnd EndOf(const Attempt& attempt, const RequestWatch& request, EndKind kind, const std::string& reason) {
  return {kind, reason, Ranks(attempt, request), StuckOf(attempt, request), attempt.seconds()};
}

// A request that every rank is done with: fine, unless a rank said that it gave up, or the launcher failed after it.
RunEnd EndOfServed(const Attempt& attempt, const RequestWatch& request, bool last) {
  if (request.AnyGaveUp()) return EndOf(attempt, request, EndKind::kError, Explain(attempt, request));
  if (last && attempt.kind() != EndKind::kDone) {
    return EndOf(attempt, request, attempt.kind(), Explain(attempt, request));
  }
  return EndOf(attempt, request, EndKind::kDone, "");
}

}  // namespace

std::vector<RunEnd> Launch(const protocol::Manifest& manifest, const Job& job) {
  std::vector<RunEnd> ends;
  int fruitless = 0;
  while (ends.size() < job.requests.size()) {
    const std::vector<std::filesystem::path> left(job.requests.begin() + static_cast<std::ptrdiff_t>(ends.size()),
                                                  job.requests.end());
    Attempt attempt(manifest, job, left);
    try {
      attempt.Run();
    } catch (const protocol::BadInput& error) {
      const std::string advice = manifest.setup.empty() ? "" : "; run " + manifest.setup + " first";
      RunEnd end;
      end.kind = EndKind::kError;
      end.reason = "trainer '" + manifest.name + "' can't be started: " + error.what() + advice;
      ends.resize(job.requests.size(), end);
      break;
    }
    const std::size_t served = attempt.current();
    for (std::size_t i = 0; i < served; ++i) {
      ends.push_back(EndOfServed(attempt, attempt.requests()[i], i + 1 == left.size()));
    }
    if (served == left.size()) break;
    const RequestWatch& next = attempt.requests()[served];
    fruitless = served == 0 && !next.Begun() ? fruitless + 1 : 0;
    const bool hopeless = attempt.kind() == EndKind::kInterrupted || fruitless == kFruitlessStarts;
    // The request in progress failed. One that had not begun gets its chance, if this attempt served any.
    if (next.Begun() || served == 0 || hopeless) {
      ends.push_back(EndOf(attempt, next, attempt.kind(), Explain(attempt, next)));
    }
    if (hopeless) ends.resize(job.requests.size(), ends.back());
  }
  return ends;
}

}  // namespace lockstep::launch
