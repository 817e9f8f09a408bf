#include "baozi/api/replica_warmth.h"

#include <prometheus/gauge.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <ctime>
#include <string_view>

#include "baozi/api/language_metrics.h"
#include "baozi/api/readiness.h"
#include "baozi/base/metrics.h"

namespace baozi::api {
namespace {

constexpr Duration kReportAgeMax = std::chrono::milliseconds(100);

fleet::ReplicaState replica_state(model::Readiness readiness) {
  switch (readiness) {
    case model::Readiness::kReady:
      return fleet::ReplicaState::kReady;
    case model::Readiness::kDegraded:
      return fleet::ReplicaState::kDegraded;
    case model::Readiness::kFailed:
      return fleet::ReplicaState::kFailed;
    case model::Readiness::kStarting:
      break;
  }
  return fleet::ReplicaState::kStarting;
}

// That all threads of this process have had so far.
double cpu_seconds() {
  std::timespec used{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return static_cast<double>(used.tv_sec) + 1e-9 * static_cast<double>(used.tv_nsec);
}

struct Answers {
  double all = 0;
  double failed = 0;
};

// Of all protocols, since the start. What a caller did wrong says nothing of this replica; that it
// is full, or too late, does.
Answers count_answers() {
  static constexpr std::array kCallersFault{Code::kOk, Code::kInvalidArgument, Code::kNotFound,
                                            Code::kCancelled};
  Answers answers;
  for (const auto& [code, count] : metrics::totals("baozi_requests_total", "code")) {
    answers.all += count;
    if (std::ranges::find(kCallersFault, code, code_name) == kCallersFault.end())
      answers.failed += count;
  }
  return answers;
}

}  // namespace

fleet::Warmth ReplicaWarmth::read() const {
  const Progress progress = progress_of(repository_.index());
  fleet::Warmth warmth{
      .state = draining() ? fleet::ReplicaState::kDraining : replica_state(repository_.readiness()),
      .warmth = progress.done,
      .seconds_left = progress.seconds_left};
  if (warmth.state == fleet::ReplicaState::kFailed) warmth.warmth = 0;
  warmth.queue =
      static_cast<int>(hold_.held()) + static_cast<int>(metrics::total("baozi_queue_length"));
  warmth.in_flight = static_cast<int>(in_flight_.Value());
  const LanguageUse language = language_use(repository_);
  warmth.kv_cache = language.kv_cache;
  const Answers answers = count_answers();
  const std::lock_guard lock(mutex_);
  const Time now = Clock::now();
  warmth.utilisation = std::max(language.slots, cpu_.read(now, cpu_seconds()) / cores_);
  warmth.answered = answered_.read(now, answers.all);
  warmth.failed = failed_.read(now, answers.failed);
  return warmth;
}

void ReplicaWarmth::add_headers(fleet::ReportFormat format, net::HttpResponse& response) const {
  if (draining()) response.headers.push_back({fleet::kEjectHeader, "true"});
  if (format == fleet::ReportFormat::kNone) return;
  const Time now = Clock::now();
  fleet::Warmth warmth;
  bool fresh = false;
  {
    const std::lock_guard lock(mutex_);
    fresh = reported_at_ != kNever && now - reported_at_ < kReportAgeMax;
    warmth = reported_;
  }
  if (!fresh) {
    warmth = read();
    const std::lock_guard lock(mutex_);
    reported_ = warmth;
    reported_at_ = now;
  }
  response.headers.push_back({fleet::kLoadReportHeader, fleet::format_load_report(format, warmth)});
}

}  // namespace baozi::api
