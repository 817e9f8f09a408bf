#include "baozi/base/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <vector>

namespace baozi::metrics {
namespace {

prometheus::Registry& registry() {
  static auto* instance = new prometheus::Registry;  // outlives every thread that still counts
  return *instance;
}

}  // namespace

prometheus::Counter& counter(const std::string& name, const std::string& help,
                             const Labels& labels) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry()).Add(labels);
}

prometheus::Gauge& gauge(const std::string& name, const std::string& help, const Labels& labels) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry()).Add(labels);
}

prometheus::Histogram& histogram(const std::string& name, const std::string& help,
                                 const std::vector<double>& bounds, const Labels& labels) {
  return prometheus::BuildHistogram()
      .Name(name)
      .Help(help)
      .Register(registry())
      .Add(labels, prometheus::Histogram::BucketBoundaries(bounds));
}

const std::vector<double>& latency_bounds() {
  static const std::vector<double> bounds{0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005,
                                          0.01,   0.025,   0.05,   0.1,   0.25,   0.5,
                                          1.0,    2.5,     5.0,    10.0};
  return bounds;
}

std::map<std::string, double> totals(const std::string& name, const std::string& label) {
  std::map<std::string, double> sums;
  for (const prometheus::MetricFamily& family : registry().Collect()) {
    if (family.name != name) continue;
    for (const prometheus::ClientMetric& each : family.metric) {
      const auto at = std::ranges::find(each.label, label, &prometheus::ClientMetric::Label::name);
      sums[at == each.label.end() ? std::string() : at->value] +=
          each.counter.value + each.gauge.value + each.histogram.sample_sum;
    }
  }
  return sums;
}

double total(const std::string& name) {
  double sum = 0;
  for (const auto& [_, each] : totals(name, "")) sum += each;
  return sum;
}

std::string render() { return prometheus::TextSerializer().Serialize(registry().Collect()); }

}  // namespace baozi::metrics
