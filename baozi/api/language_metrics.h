// LanguageMetrics: how quickly a language model answers; and the load of all of them as it is now.
//
// Thread safety: all methods and functions; an AnswerTimer by one task at a time.
#pragma once

#include <map>
#include <memory>
#include <shared_mutex>
#include <string>
#include <string_view>

#include "baozi/base/clock.h"
#include "baozi/llm/completion.h"
#include "baozi/model/repository.h"

namespace prometheus {
class Counter;
class Histogram;
}  // namespace prometheus

namespace baozi::api {

// Of one model.
class LanguageMetrics {
 public:
  explicit LanguageMetrics(const std::string& model);

  prometheus::Histogram& first_token;  // seconds from a request to its first token
  prometheus::Histogram& next_token;   // seconds a token behind the first, the mean of an answer
  prometheus::Counter& prompt_tokens;
  prometheus::Counter& cached_tokens;  // of them, those that were in the memory already
  prometheus::Counter& completion_tokens;
};

// Times the answer to one request, and counts its tokens at the end.
class AnswerTimer {
 public:
  AnswerTimer(LanguageMetrics& metrics, Time start) noexcept : metrics_(&metrics), start_(start) {}

  // Something came; `usage` is the whole so far.
  void came(const llm::CompletionUsage& usage, Time now);
  void end(const llm::CompletionUsage& usage);

 private:
  LanguageMetrics* metrics_;
  Time start_;
  Time first_{};
  Time last_{};
  int first_tokens_ = 0;  // that came at once with the first
};

class LanguageMetricsByModel {
 public:
  // `model` must be one that exists.
  LanguageMetrics& of(std::string_view model);

 private:
  std::shared_mutex mutex_;
  std::map<std::string, std::unique_ptr<LanguageMetrics>, std::less<>> models_;  // by mutex_
};

// The load of every language model that is ready, in Prometheus' text exposition format: by the
// names that vLLM gave them, which the Gateway API's endpoint picker looks for, and by ours.
std::string render_language_load(const model::Repository& repository);

// How far the most used language model that is ready is used up.
struct LanguageUse {
  double slots = 0;  // requests that run by those that may run at once
  double kv_cache =
      -1;  // share of the KV memory that running requests use; negative: no such model
};
LanguageUse language_use(const model::Repository& repository);

}  // namespace baozi::api
