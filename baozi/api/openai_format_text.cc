// text_completion, whole and in pieces, which have the same shape.
#include <algorithm>
#include <utility>

#include "baozi/api/json_writer.h"
#include "baozi/api/openai_format_parts.h"

namespace baozi::api {
namespace {

constexpr std::string_view kPrefix = "cmpl-";

std::size_t characters(std::string_view text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return (c & 0xc0) != 0x80; }));
}

class TextFormat final : public AnswerFormat {
 public:
  TextFormat(AnswerHead head, const TextWishes& wishes, SharedInterpreter interpreter,
             std::vector<std::string> prompts)
      : head_(std::move(head)),
        chances_(wishes.completion.chances >= 0),
        usage_(wishes.include_usage),
        n_(static_cast<std::size_t>(wishes.n)),
        interpreter_(std::move(interpreter)),
        prompts_(std::move(prompts)),
        offsets_(prompts_.size() * n_) {}

  std::string whole(const std::vector<Answer>& answers,
                    const llm::CompletionUsage& usage) override {
    std::string out = "{";
    append_head(out, head_, kPrefix, "text_completion");
    out += R"(,"choices":[)";
    for (std::size_t i = 0; i < answers.size(); ++i) {
      if (i > 0) out += ',';
      append_choice(out, i, prompts_[i / n_] + answers[i].text, answers[i].chances,
                    finish_name(answers[i].finish));
    }
    out += ']';
    append_usage(out, usage);
    out += '}';
    return out;
  }

  std::string begin() override {
    std::string events;
    for (std::size_t i = 0; i < offsets_.size(); ++i) {
      if (!prompts_[i / n_].empty()) append_chunk(events, i, prompts_[i / n_], {}, "");
    }
    return events;
  }

  std::string add(std::size_t index, const llm::CompletionPiece& piece) override {
    std::string events;
    if (piece.text.empty() && piece.chances.empty() && !piece.finish) return events;
    append_chunk(events, index, piece.text, piece.chances,
                 piece.finish ? finish_name(*piece.finish) : "");
    return events;
  }

  std::string end(const llm::CompletionUsage& usage) override {
    return last_events(head_, kPrefix, "text_completion", usage_ ? &usage : nullptr);
  }
  std::string fail(const Error& error) override { return error_events(error); }

 private:
  void append_choice(std::string& out, std::size_t index, std::string_view text,
                     std::span<const llm::TokenChances> chances, std::string_view finish) {
    out += R"({"index":)";
    append_json_number(out, index);
    out += R"(,"text":)";
    append_json_text(out, text);
    out += R"(,"logprobs":)";
    if (chances_) {
      append_logprobs(out, chances, offsets_[index]);
    } else {
      out += "null";
    }
    out += R"(,"finish_reason":)";
    if (finish.empty()) {
      out += "null";
    } else {
      append_json_string(out, finish);
    }
    out += '}';
  }

  // {"tokens":[…],"token_logprobs":[…],"top_logprobs":[{…}],"text_offset":[…]}; `offset`: the
  // characters before, and then the ones behind.
  void append_logprobs(std::string& out, std::span<const llm::TokenChances> chances,
                       std::size_t& offset) const {
    std::string logs;
    std::string tops;
    std::string offsets;
    out += R"({"tokens":[)";
    for (const llm::TokenChances& each : chances) {
      const std::string piece = interpreter_->piece(each.picked.token);
      if (!logs.empty()) {
        for (std::string* list : {&out, &logs, &tops, &offsets}) *list += ',';
      }
      append_json_text(out, piece);
      append_log(logs, each.picked.logprob);
      append_top(tops, each.likeliest);
      append_json_number(offsets, offset);
      offset += characters(piece);
    }
    out += R"(],"token_logprobs":[)" + logs + R"(],"top_logprobs":[)" + tops;
    out += R"(],"text_offset":[)" + offsets + "]}";
  }

  // {"token":log,…}; two tokens may have the same text: the likelier one stays.
  void append_top(std::string& out, std::span<const engine::TokenChance> likeliest) const {
    std::vector<std::string> seen;
    out += '{';
    for (const engine::TokenChance& chance : likeliest) {
      std::string text = interpreter_->piece(chance.token);
      if (std::ranges::find(seen, text) != seen.end()) continue;
      if (!seen.empty()) out += ',';
      append_json_text(out, text);
      out += ':';
      append_log(out, chance.logprob);
      seen.push_back(std::move(text));
    }
    out += '}';
  }

  void append_chunk(std::string& events, std::size_t index, std::string_view text,
                    std::span<const llm::TokenChances> chances, std::string_view finish) {
    std::string chunk = "{";
    append_head(chunk, head_, kPrefix, "text_completion");
    chunk += R"(,"choices":[)";
    append_choice(chunk, index, text, chances, finish);
    chunk += usage_ ? R"(],"usage":null})" : "]}";
    append_event(events, chunk);
  }

  const AnswerHead head_;
  const bool chances_;
  const bool usage_;
  const std::size_t n_;
  const SharedInterpreter interpreter_;
  const std::vector<std::string> prompts_;
  std::vector<std::size_t> offsets_;  // by choice: the characters of its tokens so far
};

}  // namespace

std::unique_ptr<AnswerFormat> text_format(AnswerHead head, const TextWishes& wishes,
                                          SharedInterpreter interpreter,
                                          std::vector<std::string> prompts) {
  return std::make_unique<TextFormat>(std::move(head), wishes, std::move(interpreter),
                                      std::move(prompts));
}

}  // namespace baozi::api
