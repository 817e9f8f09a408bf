// Load reports in answers' headers, as Envoy and gRPC's balancers read them: ORCA (cncf/xds,
// xds/data/orca/v3/orca_load_report.proto; gRFC A51, "endpoint-load-metrics").
//
//   ReportFormat format = report_format(request_header);           // "json"
//   header = {kLoadReportHeader, format_load_report(format, warmth)};  // JSON {"application_…
//
// Thread safety: free functions, pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "baozi/fleet/warmth.h"

namespace baozi::fleet {

// Of a request: the wish for a report, "text" or "json".
inline constexpr std::string_view kReportFormatHeader = "endpoint-load-metrics-format";
// Of an answer.
inline constexpr std::string_view kLoadReportHeader = "endpoint-load-metrics";
// Of any answer: Envoy takes the replica out at once.
inline constexpr std::string_view kEjectHeader = "x-envoy-immediate-health-check-fail";
// Of a health check's answer with status 200: the replica is Envoy's last resort.
inline constexpr std::string_view kDegradedHeader = "x-envoy-degraded";

enum class ReportFormat : std::uint8_t { kNone, kText, kJson };
ReportFormat report_format(std::string_view wish) noexcept;  // what it does not know is no wish

// "TEXT application_utilization=0.810,rps_fractional=41.500,eps=0.000,…" or "JSON {…}"; "" for
// kNone. These balancers weigh by requests a second over utilisation (gRFC A58), and take an
// endpoint of which either is 0 for an average one. So one that is idle says 0.010, and one that
// is not hot yet that it is more than busy.
std::string format_load_report(ReportFormat format, const Warmth& warmth);

}  // namespace baozi::fleet
