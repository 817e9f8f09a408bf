// Metrics: counters, gauges and histograms of the process, kept by prometheus-cpp in one registry
// and printed on /metrics.
//
// Look a metric up once (it takes a lock) and keep the reference: it stays valid for the life of
// the program. The names carry their unit (`_seconds`, `_bytes`, `_total`), as Prometheus asks.
//
// Thread safety: all functions and the metrics themselves.
//
//   static prometheus::Counter& requests =
//       metrics::counter("baozi_requests_total", "Requests answered", {{"model", m}});
//   requests.Increment();      // needs <prometheus/counter.h>
#pragma once

#include <map>
#include <string>
#include <vector>

namespace prometheus {
class Counter;
class Gauge;
class Histogram;
}  // namespace prometheus

namespace baozi::metrics {

using Labels = std::map<std::string, std::string>;

prometheus::Counter& counter(const std::string& name, const std::string& help,
                             const Labels& labels = {});
prometheus::Gauge& gauge(const std::string& name, const std::string& help,
                         const Labels& labels = {});
// `bounds` are upper bounds in ascending order; the same for every label set of one name.
prometheus::Histogram& histogram(const std::string& name, const std::string& help,
                                 const std::vector<double>& bounds, const Labels& labels = {});

// Upper bounds in seconds from 100 µs to 10 s, for latencies.
const std::vector<double>& latency_bounds();

// Every metric in Prometheus' text exposition format 0.0.4.
std::string render();

// Of all label sets of one name together: values of counters and gauges, sums of histograms. 0
// where there is none. Collects everything: for pages, not for the road of a request.
double total(const std::string& name);
// The same, apart for each value of a label.
std::map<std::string, double> totals(const std::string& name, const std::string& label);

}  // namespace baozi::metrics
