#include "baozi/api/openai_format.h"

#include <cmath>
#include <random>

#include "baozi/api/json_writer.h"
#include "baozi/api/openai_error.h"
#include "baozi/api/openai_format_parts.h"
#include "baozi/net/sse.h"

namespace baozi::api {
namespace {

constexpr std::size_t kIdChars = 32;
constexpr float kImpossible = -9999;
constexpr std::string_view kDoneEvent = "data: [DONE]\n\n";

void append_chance(std::string& out, const engine::TokenChance& chance,
                   const Interpreter& interpreter) {
  const std::string piece = interpreter.piece(chance.token);
  out += R"("token":)";
  append_json_text(out, piece);
  out += R"(,"logprob":)";
  append_log(out, chance.logprob);
  out += R"(,"bytes":)";
  append_json_bytes(out, piece);
}

class ModelInterpreter final : public Interpreter {
 public:
  explicit ModelInterpreter(const engine::LanguageModel& model) noexcept : model_(model) {}
  std::string piece(engine::Token token) const override { return model_.piece(token, true); }
  engine::ChatReply read_reply(const engine::ChatPrompt& prompt, std::string_view text,
                               bool whole) const override {
    return model_.read_reply(prompt, text, whole);
  }

 private:
  const engine::LanguageModel& model_;
};

}  // namespace

SharedInterpreter interpreter_of(const engine::LanguageModel& model) {
  return std::make_shared<ModelInterpreter>(model);
}

void append_usage(std::string& out, const llm::CompletionUsage& usage) {
  out += R"(,"usage":{"prompt_tokens":)";
  append_json_number(out, usage.prompt_tokens);
  out += R"(,"completion_tokens":)";
  append_json_number(out, usage.completion_tokens);
  out += R"(,"total_tokens":)";
  append_json_number(out, usage.prompt_tokens + usage.completion_tokens);
  out += R"(,"prompt_tokens_details":{"cached_tokens":)";
  append_json_number(out, usage.cached_tokens);
  out += '}';
  if (usage.guessed_tokens > 0) {
    out += R"(,"completion_tokens_details":{"accepted_prediction_tokens":)";
    append_json_number(out, usage.guessed_tokens_right);
    out += R"(,"rejected_prediction_tokens":)";
    append_json_number(out, usage.guessed_tokens - usage.guessed_tokens_right);
    out += '}';
  }
  out += '}';
}

void append_head(std::string& out, const AnswerHead& head, std::string_view prefix,
                 std::string_view object) {
  out += R"("id":")";
  out += prefix;
  out += head.id;
  out += R"(","object":")";
  out += object;
  out += R"(","created":)";
  append_json_number(out, head.created);
  out += R"(,"model":)";
  append_json_text(out, head.model);
}

void append_chances(std::string& out, std::span<const llm::TokenChances> chances,
                    const Interpreter& interpreter) {
  out += '[';
  for (std::size_t i = 0; i < chances.size(); ++i) {
    out += i > 0 ? ",{" : "{";
    append_chance(out, chances[i].picked, interpreter);
    out += R"(,"top_logprobs":[)";
    for (std::size_t k = 0; k < chances[i].likeliest.size(); ++k) {
      out += k > 0 ? ",{" : "{";
      append_chance(out, chances[i].likeliest[k], interpreter);
      out += '}';
    }
    out += "]}";
  }
  out += ']';
}

void append_log(std::string& out, float log) {
  append_json_number(out, std::isfinite(log) ? log : kImpossible);
}

std::string_view finish_name(llm::Finish finish) noexcept {
  return finish == llm::Finish::kLength ? "length" : "stop";
}

std::string last_events(const AnswerHead& head, std::string_view prefix, std::string_view object,
                        const llm::CompletionUsage* usage) {
  std::string events;
  if (usage != nullptr) {
    std::string chunk = "{";
    append_head(chunk, head, prefix, object);
    chunk += R"(,"choices":[])";
    append_usage(chunk, *usage);
    chunk += '}';
    append_event(events, chunk);
  }
  events += kDoneEvent;
  return events;
}

std::string error_events(const Error& error) {
  std::string events;
  append_event(events, format_openai_error(error));
  events += kDoneEvent;
  return events;
}

void append_event(std::string& out, std::string_view json) { net::append_sse_event(out, json); }

std::string new_answer_id() {
  static constexpr std::string_view kChars =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  static thread_local std::random_device source;
  std::uniform_int_distribution<std::size_t> pick(0, kChars.size() - 1);
  std::string id(kIdChars, ' ');
  for (char& c : id) c = kChars[pick(source)];
  return id;
}

}  // namespace baozi::api
