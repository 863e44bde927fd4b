// junit.xml: one suite a profile, one test a case. `failure` for an assertion that did not hold, `error` for a crash or
// a time-out, `skipped` with its reason for what was not run or is waived.
#include <fmt/format.h>

#include <algorithm>

#include "harness/protocol/files.h"
#include "harness/publish/publish.h"
#include "harness/publish/text.h"
#include "harness/publish/words.h"

namespace lockstep::publish {
namespace {

using protocol::CaseResult;
using protocol::Record;
using protocol::Status;

struct Counts {
  std::size_t tests = 0, failures = 0, errors = 0, skipped = 0;
  double seconds = 0;
};

// The element that a status becomes; "" for a test that passed.
const char* ElementOf(Status status) {
  switch (status) {
    case Status::kPass:
      return "";
    case Status::kFail:
    case Status::kXpass:
      return "failure";
    case Status::kError:
    case Status::kTimeout:
      return "error";
    default:
      return "skipped";  // an expected failure is no pass, and JUnit has no other word
  }
}

Counts CountsOf(const std::vector<const CaseResult*>& cases) {
  Counts counts;
  for (const CaseResult* result : cases) {
    const std::string element = ElementOf(result->status);
    ++counts.tests;
    counts.failures += element == "failure" ? 1 : 0;
    counts.errors += element == "error" ? 1 : 0;
    counts.skipped += element == "skipped" ? 1 : 0;
    counts.seconds += result->seconds;
  }
  return counts;
}

std::string CountAttributes(const Counts& counts) {
  return fmt::format(R"(tests="{}" failures="{}" errors="{}" skipped="{}" time="{:.3f}")", counts.tests,
                     counts.failures, counts.errors, counts.skipped, counts.seconds);
}

std::string MessageOf(const CaseResult& result, const std::vector<std::string>& words) {
  if (!result.reason.empty()) return result.reason;
  return words.empty() ? std::string(protocol::NameOf(result.status)) : words.front();
}

void AddCase(const CaseResult& result, const std::string& suite, std::string* out) {
  *out += fmt::format(R"(    <testcase classname="lockstep.{}" name="{}" time="{:.3f}")", XmlAttribute(suite),
                      XmlAttribute(result.id), result.seconds);
  const std::string element = ElementOf(result.status);
  if (element.empty()) {
    *out += "/>\n";
    return;
  }
  const std::vector<std::string> words = FailureWords(result);
  const std::string message = XmlAttribute(MessageOf(result, words));
  *out += ">\n";
  if (element == "skipped") {
    *out += fmt::format("      <skipped message=\"{}: {}\"/>\n", protocol::NameOf(result.status), message);
  } else {
    std::string body = result.claim.empty() ? "" : "claim: " + result.claim + "\n";
    for (const std::string& line : words) body += line + "\n";
    *out += fmt::format("      <{0} type=\"{1}\" message=\"{2}\">{3}</{0}>\n", element, protocol::NameOf(result.status),
                        message, XmlText(body));
  }
  *out += "    </testcase>\n";
}

// Whether the suite found a fault that was switched on is a test of its own: the cases beside it are meant to fail.
void AddFault(const Record& record, std::string* out) {
  const protocol::FaultResult& result = *record.fault;
  const bool caught = result.outcome == protocol::FaultOutcome::kCaught;
  const std::string name = XmlAttribute(result.fault.name), words = XmlAttribute(record.verdict);
  *out +=
      fmt::format(
          R"(  <testsuite name="fault" timestamp="{}" tests="1" failures="{}" errors="0" skipped="0" time="0.000">)",
          XmlAttribute(record.started), caught ? 0 : 1) +
      "\n";
  *out += fmt::format("    <properties><property name=\"fault\" value=\"{}\"/></properties>\n", name);
  *out += fmt::format(R"(    <testcase classname="lockstep.fault" name="{}" time="0.000")", name);
  *out += caught ? "/>\n"
                 : fmt::format(">\n      <failure type=\"{0}\" message=\"{1}\">{1}</failure>\n    </testcase>\n",
                               protocol::NameOf(result.outcome), words);
  *out += "  </testsuite>\n";
}

}  // namespace

std::string JUnitText(const Record& record) {
  std::vector<std::string> suites;
  std::vector<const CaseResult*> all;
  for (const CaseResult& result : record.cases) {
    all.push_back(&result);
    if (std::find(suites.begin(), suites.end(), result.profile) == suites.end()) suites.push_back(result.profile);
  }
  std::string out = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
  Counts counts = CountsOf(all);
  if (record.fault) {
    ++counts.tests;
    counts.failures += record.fault->outcome == protocol::FaultOutcome::kCaught ? 0 : 1;
  }
  out += fmt::format("<testsuites name=\"lockstep\" {}>\n", CountAttributes(counts));
  if (record.fault) AddFault(record, &out);
  for (const std::string& suite : suites) {
    std::vector<const CaseResult*> cases;
    std::copy_if(all.begin(), all.end(), std::back_inserter(cases),
                 [&](const CaseResult* result) { return result->profile == suite; });
    const std::string name = suite.empty() ? "cases" : suite;
    out += fmt::format("  <testsuite name=\"{}\" timestamp=\"{}\" {}>\n", XmlAttribute(name),
                       XmlAttribute(record.started), CountAttributes(CountsOf(cases)));
    for (const CaseResult* result : cases) AddCase(*result, name, &out);
    out += "  </testsuite>\n";
  }
  return out + "</testsuites>\n";
}

void WriteJUnit(const std::filesystem::path& dir, const Record& record) {
  protocol::WriteFileWhole(dir / "junit.xml", JUnitText(record));
}

}  // namespace lockstep::publish
