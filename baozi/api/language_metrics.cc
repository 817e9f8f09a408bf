#include "baozi/api/language_metrics.h"

#include <prometheus/counter.h>
#include <prometheus/histogram.h>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <functional>
#include <mutex>
#include <utility>
#include <vector>

#include "baozi/base/metrics.h"
#include "baozi/llm/language_servable.h"

namespace baozi::api {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

double seconds(Duration span) { return std::chrono::duration<double>(span).count(); }

// OpenTelemetry's for gen_ai.server.time_to_first_token and time_per_output_token, and for slower
// machines a few above.
const std::vector<double> kFirstTokenBounds{.001, .005, .01, .02, .04, .06, .08, .1, .25,
                                            .5,   .75,  1,   2.5, 5,   7.5, 10,  30, 60};
const std::vector<double> kNextTokenBounds{.001, .0025, .005, .01, .025, .05, .075, .1,
                                           .15,  .2,    .3,   .4,  .5,   .75, 1,    2.5};

// By name: two versions of a model have the same labels, so they count together.
using Loads = std::map<std::string, llm::LanguageLoad>;

void add(llm::LanguageLoad& sum, const llm::LanguageLoad& load) {
  sum.waiting += load.waiting;
  sum.running += load.running;
  sum.running_max += load.running_max;
  sum.tokens += load.tokens;
  sum.tokens_in_use += load.tokens_in_use;
  sum.tokens_max += load.tokens_max;
  sum.guessed += load.guessed;
  sum.guessed_right += load.guessed_right;
}

Loads loads(const model::Repository& repository) {
  Loads all;
  for (const model::VersionStatus& status : repository.index()) {
    const auto servable = repository.peek(status.name, status.version);
    if (const auto* language = dynamic_cast<const llm::LanguageServable*>(servable.get()))
      add(all[status.name], language->load());
  }
  return all;
}

template <class Value>
MetricFamily family_of(std::string name, std::string help, const Loads& all, Value value) {
  MetricFamily family{std::move(name), std::move(help), MetricType::Gauge, {}};
  for (const auto& [model, load] : all) {
    ClientMetric metric;
    metric.label = {{"model_name", model}};
    metric.gauge.value = static_cast<double>(value(load));
    family.metric.push_back(std::move(metric));
  }
  return family;
}

template <class Value>
MetricFamily counters_of(std::string name, std::string help, const Loads& all, Value value) {
  MetricFamily family = family_of(std::move(name), std::move(help), all, value);
  family.type = MetricType::Counter;
  for (ClientMetric& metric : family.metric) metric.counter.value = metric.gauge.value;
  return family;
}

// A block is a token; what there is of them is in the label.
MetricFamily cache_config(const Loads& all) {
  MetricFamily family = family_of("vllm:cache_config_info", "The KV memory's size in blocks", all,
                                  [](const llm::LanguageLoad&) { return 1; });
  for (ClientMetric& metric : family.metric) {
    const int tokens = all.at(metric.label.front().value).tokens_max;
    metric.label.push_back({"block_size", "1"});
    metric.label.push_back({"num_gpu_blocks", std::to_string(tokens)});
  }
  return family;
}

double usage(const llm::LanguageLoad& load) {
  return load.tokens_max > 0 ? static_cast<double>(load.tokens_in_use) / load.tokens_max : 0;
}

}  // namespace

LanguageMetrics::LanguageMetrics(const std::string& model)
    : first_token(metrics::histogram("baozi_time_to_first_token_seconds",
                                     "Time from a request's arrival to its first token",
                                     kFirstTokenBounds, {{"model", model}})),
      next_token(metrics::histogram("baozi_time_per_output_token_seconds",
                                    "Time a token behind the first took, the mean of an answer",
                                    kNextTokenBounds, {{"model", model}})),
      prompt_tokens(metrics::counter("baozi_llm_prompt_tokens_total", "Tokens of prompts",
                                     {{"model", model}})),
      cached_tokens(metrics::counter("baozi_llm_cached_tokens_total",
                                     "Tokens of prompts that were in the KV memory already",
                                     {{"model", model}})),
      completion_tokens(metrics::counter("baozi_llm_completion_tokens_total", "Tokens of answers",
                                         {{"model", model}})) {}

void AnswerTimer::came(const llm::CompletionUsage& usage, Time now) {
  last_ = now;
  if (first_ != Time{}) return;
  first_ = now;
  first_tokens_ = usage.completion_tokens;
  metrics_->first_token.Observe(seconds(now - start_));
}

void AnswerTimer::end(const llm::CompletionUsage& usage) {
  metrics_->prompt_tokens.Increment(usage.prompt_tokens);
  metrics_->cached_tokens.Increment(usage.cached_tokens);
  metrics_->completion_tokens.Increment(usage.completion_tokens);
  const int later = usage.completion_tokens - first_tokens_;
  if (later > 0) metrics_->next_token.Observe(seconds(last_ - first_) / later);
}

LanguageMetrics& LanguageMetricsByModel::of(std::string_view model) {
  {
    const std::shared_lock lock(mutex_);
    const auto at = models_.find(model);
    if (at != models_.end()) return *at->second;
  }
  const std::unique_lock lock(mutex_);
  std::unique_ptr<LanguageMetrics>& slot = models_[std::string(model)];
  if (slot == nullptr) slot = std::make_unique<LanguageMetrics>(std::string(model));
  return *slot;
}

LanguageUse language_use(const model::Repository& repository) {
  LanguageUse most;
  for (const auto& [model, load] : loads(repository)) {
    if (load.running_max > 0)
      most.slots = std::max(most.slots, static_cast<double>(load.running) / load.running_max);
    most.kv_cache = std::max(most.kv_cache, usage(load));
  }
  return most;
}

std::string render_language_load(const model::Repository& repository) {
  const Loads all = loads(repository);
  if (all.empty()) return "";
  using Load = llm::LanguageLoad;
  return prometheus::TextSerializer().Serialize({
      family_of("vllm:num_requests_waiting", "Requests that have not begun", all,
                std::mem_fn(&Load::waiting)),
      family_of("vllm:num_requests_running", "Requests that have begun", all,
                std::mem_fn(&Load::running)),
      family_of("vllm:kv_cache_usage_perc",
                "Share of the KV memory that running requests use, 0 to 1", all, usage),
      cache_config(all),
      family_of("baozi_llm_requests_running_max", "Requests that may run at once", all,
                std::mem_fn(&Load::running_max)),
      family_of("baozi_llm_kv_tokens", "Tokens in the KV memory, in use or kept for later", all,
                std::mem_fn(&Load::tokens)),
      family_of("baozi_llm_kv_tokens_in_use", "Tokens in the KV memory, of running requests", all,
                std::mem_fn(&Load::tokens_in_use)),
      family_of("baozi_llm_kv_tokens_max", "Tokens that the KV memory holds", all,
                std::mem_fn(&Load::tokens_max)),
      counters_of("vllm:spec_decode_num_draft_tokens_total",
                  "Tokens of answers that were guessed and computed ahead", all,
                  std::mem_fn(&Load::guessed)),
      counters_of("vllm:spec_decode_num_accepted_tokens_total",
                  "Of the guessed tokens, those that the answers said", all,
                  std::mem_fn(&Load::guessed_right)),
  });
}

}  // namespace baozi::api
