#include "baozi/fleet/load_report.h"

#include <fmt/format.h>

#include <algorithm>

namespace baozi::fleet {

ReportFormat report_format(std::string_view wish) noexcept {
  if (wish == "json" || wish == "JSON") return ReportFormat::kJson;
  if (wish == "text" || wish == "TEXT") return ReportFormat::kText;
  return ReportFormat::kNone;
}

std::string format_load_report(ReportFormat format, const Warmth& warmth) {
  const bool lukewarm = warmth.state == ReplicaState::kStarting;
  const double busy =
      lukewarm ? std::max(warmth.utilisation, 2 - warmth.warmth) : warmth.utilisation;
  switch (format) {
    case ReportFormat::kNone:
      break;
    case ReportFormat::kText:
      return fmt::format(
          "TEXT application_utilization={:.3f},named_metrics.warmth={:.3f},named_metrics.queue={},"
          "named_metrics.in_flight={}",
          busy, warmth.warmth, warmth.queue, warmth.in_flight);
    case ReportFormat::kJson:
      return fmt::format(
          R"(JSON {{"application_utilization":{:.3f},"named_metrics":{{"warmth":{:.3f},)"
          R"("queue":{},"in_flight":{}}}}})",
          busy, warmth.warmth, warmth.queue, warmth.in_flight);
  }
  return {};
}

}  // namespace baozi::fleet
