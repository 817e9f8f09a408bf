#include "baozi/fleet/warmth.h"

#include <fmt/format.h>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <array>
#include <vector>

namespace baozi::fleet {
namespace {

constexpr std::array kStates{ReplicaState::kStarting, ReplicaState::kReady, ReplicaState::kDegraded,
                             ReplicaState::kFailed, ReplicaState::kDraining};

}  // namespace

std::string_view replica_state_name(ReplicaState state) noexcept {
  switch (state) {
    case ReplicaState::kStarting:
      return "starting";
    case ReplicaState::kReady:
      return "ready";
    case ReplicaState::kDegraded:
      return "degraded";
    case ReplicaState::kFailed:
      return "failed";
    case ReplicaState::kDraining:
      return "draining";
  }
  return "starting";
}

std::string format_warmth(const Warmth& warmth) {
  const std::string seconds =
      warmth.seconds_left < 0 ? "null" : fmt::format("{:.2f}", warmth.seconds_left);
  return fmt::format(
      R"({{"state":"{}","warmth":{:.3f},"seconds_left":{},"queue":{},"in_flight":{},)"
      R"("utilisation":{:.3f}}})",
      replica_state_name(warmth.state), warmth.warmth, seconds, warmth.queue, warmth.in_flight,
      warmth.utilisation);
}

std::string render_warmth(const Warmth& warmth) {
  using prometheus::MetricType;
  std::vector<prometheus::MetricFamily> families;
  const auto add = [&](const char* name, const char* help, double value) {
    prometheus::MetricFamily& family =
        families.emplace_back(prometheus::MetricFamily{name, help, MetricType::Gauge, {}});
    family.metric.emplace_back().gauge.value = value;
  };
  add("baozi_warmth", "How much of what is served has been proved, from 0 to 1", warmth.warmth);
  add("baozi_queue", "Requests that wait for an instance, or for their model to come",
      warmth.queue);
  add("baozi_utilisation",
      "Share of the cores that were busy, or of a language model's requests at once",
      warmth.utilisation);
  if (warmth.seconds_left >= 0)
    add("baozi_seconds_to_ready", "Until all is ready, estimated", warmth.seconds_left);
  prometheus::MetricFamily& states = families.emplace_back(prometheus::MetricFamily{
      "baozi_state", "1 for the state that the replica is in", MetricType::Gauge, {}});
  for (const ReplicaState state : kStates) {
    prometheus::ClientMetric& metric = states.metric.emplace_back();
    metric.label = {{"state", std::string(replica_state_name(state))}};
    metric.gauge.value = state == warmth.state ? 1 : 0;
  }
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace baozi::fleet
