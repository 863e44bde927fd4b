// The metrics that Lockstep publishes: one table of names, kinds and help, over prometheus-cpp's registry.
//
// A metric that isn't in the table can't be written, so the dashboards have one list to be held to. Names follow
// prometheus.io's practices: prefix lockstep_, base units, _total on counters. Help texts have no newline
// (prometheus-cpp 1.0.1 would print it and break the scrape). Label values are made printable. No series is made by
// asking.
#pragma once

#include <prometheus/registry.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace lockstep::publish {

using Labels = std::map<std::string, std::string>;

class MetricSet {
 public:
  MetricSet();
  // `name` without prefix, one of the table's; std::logic_error otherwise, or when its kind is another.
  void Set(const std::string& name, const Labels& labels, double value);      // gauge
  void SetMax(const std::string& name, const Labels& labels, double value);   // gauge: the largest; NaN is largest
  void Add(const std::string& name, const Labels& labels, double value);      // counter
  void Observe(const std::string& name, const Labels& labels, double value);  // histogram
  std::string Text() const;                                                   // text format 0.0.4

 private:
  std::shared_ptr<prometheus::Registry> registry_;
  std::map<std::pair<std::string, Labels>, double> largest_;
};

}  // namespace lockstep::publish
