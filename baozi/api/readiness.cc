#include "baozi/api/readiness.h"

#include <fmt/format.h>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "baozi/api/json_writer.h"

namespace baozi::api {
namespace {

using model::State;
using model::VersionStatus;

std::string_view doing(State state) {
  switch (state) {
    case State::kOpening:
      return "opening";
    case State::kLoading:
      return "loading";
    case State::kWarming:
      return "warming up";
    default:
      return "waiting for";
  }
}

bool waits_for(const VersionStatus& status) {
  return model::is_coming(status.state) && !(status.state == State::kAbsent && status.on_demand);
}

double milliseconds(Duration span) {
  return std::chrono::duration<double, std::milli>(span).count();
}

// Rounded, so that it can be read.
void append_number(std::string& out, double value, int digits) {
  out += fmt::format("{:.{}f}", value, digits);
}

void append_known(std::string& out, double seconds) {
  if (seconds < 0) {
    out += "null";
  } else {
    append_number(out, seconds, 2);
  }
}

void append_milliseconds(std::string& out, Time exec, Time time) {
  if (time == kNever) {
    out += "null";
  } else {
    append_number(out, milliseconds(time - exec), 3);
  }
}

double seconds_left(const VersionStatus& status) {
  return waits_for(status) ? status.seconds_left : 0;
}

double done(const VersionStatus& status) { return waits_for(status) ? status.progress : 1; }

}  // namespace

Progress progress_of(std::span<const VersionStatus> index) {
  Progress all;
  all.seconds_left = index.empty() ? -1 : 0;
  double sum = 0;
  State furthest = State::kAbsent;
  for (const VersionStatus& status : index) {
    sum += done(status);
    if (!waits_for(status)) continue;
    const bool known = all.seconds_left >= 0 && status.seconds_left >= 0;
    all.seconds_left = known ? std::max(all.seconds_left, status.seconds_left) : -1;
    if (all.phase.empty() || status.state > furthest) {
      furthest = status.state;
      all.phase = fmt::format("{} {}", doing(status.state), status.name);
    }
  }
  all.done = index.empty() ? 0 : sum / static_cast<double>(index.size());
  return all;
}

std::string format_health(std::string_view status, std::span<const VersionStatus> index) {
  const Progress progress = progress_of(index);
  std::string out = R"({"status":)";
  append_json_text(out, status);
  if (!progress.phase.empty()) {
    out += R"(,"phase":)";
    append_json_text(out, progress.phase);
  }
  out += R"(,"progress":)";
  append_number(out, progress.done, 3);
  out += R"(,"seconds_left":)";
  append_known(out, progress.seconds_left);
  out += R"(,"models":[)";
  for (const VersionStatus& each : index) {
    if (&each != index.data()) out += ',';
    out += R"({"name":)";
    append_json_text(out, each.name);
    out += R"(,"version":)";
    append_json_text(out, each.version);
    out += R"(,"state":)";
    append_json_text(out, state_name(each.state));
    out += R"(,"reason":)";
    append_json_text(out, each.reason);
    out += R"(,"progress":)";
    append_number(out, each.progress, 3);
    out += R"(,"seconds_left":)";
    append_known(out, seconds_left(each));
    out += '}';
  }
  out += "]}";
  return out;
}

std::string format_stages(bool ready, std::span<const VersionStatus> index) {
  std::string out = fmt::format(R"({{"ready":{},"residual_delay_s":)", ready);
  append_known(out, progress_of(index).seconds_left);
  out += R"(,"stages":[)";
  for (const VersionStatus& each : index) {
    if (&each != index.data()) out += ',';
    out += R"({"name":)";
    append_json_text(out, each.name + "/" + each.version);
    out += R"(,"state":)";
    append_json_text(out, state_name(each.state));
    out += R"(,"progress":)";
    append_number(out, each.progress, 3);
    out += R"(,"residual_delay_s":)";
    append_known(out, seconds_left(each));
    out += '}';
  }
  out += "]}";
  return out;
}

std::string format_cold_start(const cold_start::Record& record) {
  std::vector<cold_start::Span> spans = record.spans;
  std::ranges::sort(spans, {}, [](const cold_start::Span& span) {
    return std::tie(span.begin, span.end, span.name, span.subject);
  });
  std::string out = R"({"ready_ms":)";
  append_milliseconds(out, record.exec, record.ready);
  out += R"(,"first_answer_ms":)";
  append_milliseconds(out, record.exec, record.first_answer);
  out += R"(,"phases":[)";
  for (std::size_t i = 0; i < spans.size(); ++i) {
    if (i > 0) out += ',';
    out += R"({"name":)";
    append_json_text(out, spans[i].name);
    out += R"(,"subject":)";
    append_json_text(out, spans[i].subject);
    out += R"(,"start_ms":)";
    append_milliseconds(out, record.exec, spans[i].begin);
    out += R"(,"end_ms":)";
    append_milliseconds(out, record.exec, spans[i].end);
    out += '}';
  }
  out += "]}";
  return out;
}

std::string render_states(std::span<const model::VersionStatus> index) {
  prometheus::MetricFamily family{"baozi_model_state",
                                  "1 for the state that a version of a model is in",
                                  prometheus::MetricType::Gauge,
                                  {}};
  for (const model::VersionStatus& status : index) {
    prometheus::ClientMetric& metric = family.metric.emplace_back();
    metric.label = {{"model", status.name},
                    {"version", status.version},
                    {"state", std::string(model::state_name(status.state))}};
    metric.gauge.value = 1;
  }
  return prometheus::TextSerializer().Serialize({std::move(family)});
}

std::string render_cold_start(const cold_start::Record& record) {
  using prometheus::MetricType;
  prometheus::MetricFamily phases{"baozi_start_phase_seconds",
                                  "What the phases of this process's start took",
                                  MetricType::Gauge,
                                  {}};
  std::set<std::pair<std::string, std::string>> seen;
  const auto add = [](prometheus::MetricFamily& family,
                      Duration span) -> prometheus::ClientMetric& {
    prometheus::ClientMetric& metric = family.metric.emplace_back();
    metric.gauge.value = milliseconds(span) / 1000;
    return metric;
  };
  for (const cold_start::Span& span : record.spans) {
    if (!seen.emplace(span.name, span.subject).second) continue;
    add(phases, span.end - span.begin).label = {{"phase", span.name}, {"subject", span.subject}};
  }
  std::vector<prometheus::MetricFamily> families{std::move(phases)};
  const auto since_exec = [&](const char* name, const char* help, Time time) {
    if (time == kNever) return;
    add(families.emplace_back(prometheus::MetricFamily{name, help, MetricType::Gauge, {}}),
        time - record.exec);
  };
  since_exec("baozi_start_ready_seconds", "From exec until all was ready", record.ready);
  since_exec("baozi_start_first_answer_seconds", "From exec to the first answered inference",
             record.first_answer);
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace baozi::api
