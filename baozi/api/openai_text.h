// A request for text on its way: from its parsed form to a servable with its completions, and from
// what those give to the answer's body.
//
// Thread safety: as said at each.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "baozi/api/answers.h"
#include "baozi/api/in_flight.h"
#include "baozi/api/language_metrics.h"
#include "baozi/api/openai_format.h"
#include "baozi/api/openai_note.h"
#include "baozi/api/openai_request.h"
#include "baozi/api/request_metrics.h"
#include "baozi/api/routes.h"
#include "baozi/base/clock.h"
#include "baozi/coro/executor.h"
#include "baozi/coro/trace.h"
#include "baozi/llm/language_servable.h"
#include "baozi/net/http.h"
#include "baozi/pipeline/admission.h"

namespace baozi::api {

// What is kept of a request from its arrival to the last byte of its answer. It is counted once: by
// answered(), or as cancelled when it goes without.
class RequestRecord {
 public:
  // `metrics`: where what no model is known for is counted.
  RequestRecord(ModelMetrics& metrics, prometheus::Gauge& gauge, RequestTrace* trace)
      : start(trace != nullptr ? trace->start() : Clock::now()),
        metrics_(&metrics),
        trace_(trace),
        in_flight_(gauge) {}
  RequestRecord(const RequestRecord&) = delete;
  RequestRecord& operator=(const RequestRecord&) = delete;
  ~RequestRecord() { answered(Code::kCancelled); }

  // The model is known.
  void belongs_to(ModelMetrics& metrics) noexcept { metrics_ = &metrics; }
  void answered(Code code);

  const Time start;
  Time deadline = kNever;
  int retry_after_s = 0;                         // of a refusal; 0: the error says it
  std::optional<pipeline::Admission> admission;  // its place is free again at the end

 private:
  ModelMetrics* metrics_;  // null: counted
  RequestTrace* trace_;
  InFlight in_flight_;
};

struct TextCall {
  std::string model;
  std::shared_ptr<llm::LanguageServable> servable;  // null: the response cache answers for it
  std::unique_ptr<TextNote> note;                   // to be written at the end; null: none
  std::unique_ptr<AnswerFormat> format;
  std::unique_ptr<Answers> answers;
  bool stream = false;
};

// Errors: as openai_parse.h.
TextAsk parse_ask(Verb verb, std::string_view body, std::size_t spare);

// Templates, tokenises and starts: takes milliseconds. `client` asks, unless the request says who
// does. Errors: FieldError; what LanguageServable::start throws.
// `note`: null, or where the request is written down.
TextCall start_text(std::shared_ptr<llm::LanguageServable> servable, TextAsk ask,
                    std::string client, std::unique_ptr<TextNote> note);

// The whole answer as a body, formatted on `cpu` if that is not null.
Task<std::string> whole_body(TextCall call, AnswerTimer timer, Executor* cpu);

// The answer as server-sent events. An error before the first piece leaves next(); a later one is
// an event.
class TextStream final : public net::BodyStream {
 public:
  TextStream(TextCall call, AnswerTimer timer, std::shared_ptr<RequestRecord> record)
      : call_(std::move(call)), timer_(timer), record_(std::move(record)) {}

  Task<std::string> next() override;

 private:
  std::string events_of(std::vector<Answers::Piece> pieces);
  std::string failed(const Error& error);

  TextCall call_;
  AnswerTimer timer_;
  std::shared_ptr<RequestRecord> record_;
  std::vector<Answer> whole_;  // what came, where a note is to be written
  bool begun_ = false;
  bool ended_ = false;
};

}  // namespace baozi::api
