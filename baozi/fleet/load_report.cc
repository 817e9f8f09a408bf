#include "baozi/fleet/load_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace baozi::fleet {
namespace {

constexpr double kIdle = 0.01;

}  // namespace

ReportFormat report_format(std::string_view wish) noexcept {
  if (wish == "json" || wish == "JSON") return ReportFormat::kJson;
  if (wish == "text" || wish == "TEXT") return ReportFormat::kText;
  return ReportFormat::kNone;
}

std::string format_load_report(ReportFormat format, const Warmth& warmth) {
  if (format == ReportFormat::kNone) return {};
  const bool lukewarm = warmth.state == ReplicaState::kStarting;
  const double busy = std::max(warmth.utilisation, lukewarm ? 2 - warmth.warmth : kIdle);
  std::vector<std::pair<std::string_view, std::string>> named{
      {"warmth", fmt::format("{:.3f}", warmth.warmth)},
      {"queue", std::to_string(warmth.queue)},
      {"in_flight", std::to_string(warmth.in_flight)}};
  if (warmth.kv_cache >= 0)
    named.emplace_back("kv_cache_utilization", fmt::format("{:.3f}", warmth.kv_cache));

  std::string metrics;
  if (format == ReportFormat::kText) {
    for (const auto& [name, value] : named)
      metrics += fmt::format(",named_metrics.{}={}", name, value);
    return fmt::format("TEXT application_utilization={:.3f},rps_fractional={:.3f},eps={:.3f}{}",
                       busy, warmth.answered, warmth.failed, metrics);
  }
  for (const auto& [name, value] : named)
    metrics += fmt::format(R"({}"{}":{})", metrics.empty() ? "" : ",", name, value);
  return fmt::format(R"(JSON {{"application_utilization":{:.3f},"rps_fractional":{:.3f},)"
                     R"("eps":{:.3f},"named_metrics":{{{}}}}})",
                     busy, warmth.answered, warmth.failed, metrics);
}

}  // namespace baozi::fleet
