// chat.completion and chat.completion.chunk.
#include <utility>

#include "baozi/api/json_writer.h"
#include "baozi/api/openai_format_parts.h"

namespace baozi::api {
namespace {

constexpr std::string_view kPrefix = "chatcmpl-";

// What a choice has said so far, and what of it was sent.
struct Said {
  std::string text;
  std::string content;
  std::string reasoning;
  std::vector<engine::ToolCall> calls;
};

class ChatFormat final : public AnswerFormat {
 public:
  ChatFormat(AnswerHead head, const TextWishes& wishes, SharedInterpreter interpreter,
             engine::ChatPrompt prompt)
      : head_(std::move(head)),
        chances_(wishes.completion.chances >= 0),
        usage_(wishes.include_usage),
        interpreter_(std::move(interpreter)),
        prompt_(std::move(prompt)),
        said_(static_cast<std::size_t>(wishes.n)) {}

  std::string whole(const std::vector<Answer>& answers,
                    const llm::CompletionUsage& usage) override {
    std::string out = "{";
    append_head(out, head_, kPrefix, "chat.completion");
    out += R"(,"choices":[)";
    for (std::size_t i = 0; i < answers.size(); ++i) {
      if (i > 0) out += ',';
      append_choice(out, i, answers[i]);
    }
    out += ']';
    append_usage(out, usage);
    out += '}';
    return out;
  }

  std::string begin() override {
    std::string events;
    for (std::size_t i = 0; i < said_.size(); ++i)
      append_chunk(events, i, R"("role":"assistant","content":"")", {}, {});
    return events;
  }

  std::string add(std::size_t index, const llm::CompletionPiece& piece) override {
    std::string events;
    Said& said = said_[index];
    const std::string delta = said_since(said, piece);
    if (!delta.empty() || !piece.chances.empty())
      append_chunk(events, index, delta, piece.chances, {});
    if (piece.finish) append_chunk(events, index, "", {}, reason(*piece.finish, said.calls));
    return events;
  }

  std::string end(const llm::CompletionUsage& usage) override {
    return last_events(head_, kPrefix, "chat.completion.chunk", usage_ ? &usage : nullptr);
  }
  std::string fail(const Error& error) override { return error_events(error); }

 private:
  static std::string_view reason(llm::Finish finish, const std::vector<engine::ToolCall>& calls) {
    if (finish != llm::Finish::kLength && !calls.empty()) return "tool_calls";
    return finish_name(finish);
  }

  engine::ChatReply read(std::string_view text, bool whole) const {
    if (prompt_.format == nullptr) return {std::string(text), "", {}};
    return interpreter_->read_reply(prompt_, text, whole);
  }

  void append_choice(std::string& out, std::size_t index, const Answer& answer) const {
    engine::ChatReply reply = read(answer.text, true);
    out += R"({"index":)";
    append_json_number(out, index);
    out += R"(,"message":{"role":"assistant","content":)";
    if (reply.content.empty() && !reply.tool_calls.empty()) {
      out += "null";
    } else {
      append_json_text(out, reply.content);
    }
    if (!reply.reasoning.empty()) {
      out += R"(,"reasoning_content":)";
      append_json_text(out, reply.reasoning);
    }
    if (!reply.tool_calls.empty()) {
      out += R"(,"tool_calls":[)";
      for (std::size_t i = 0; i < reply.tool_calls.size(); ++i) {
        engine::ToolCall& call = reply.tool_calls[i];
        give_id(call);
        if (i > 0) out += ',';
        out += '{';
        append_call(out, call, call.arguments);
        out += '}';
      }
      out += ']';
    }
    out += R"(},"logprobs":)";
    append_logprobs(out, answer.chances);
    out += R"(,"finish_reason":")";
    out += reason(answer.finish, reply.tool_calls);
    out += R"("})";
  }

  void append_logprobs(std::string& out, std::span<const llm::TokenChances> chances) const {
    if (!chances_) {
      out += "null";
      return;
    }
    out += R"({"content":)";
    append_chances(out, chances, *interpreter_);
    out += R"(,"refusal":null})";
  }

  static void give_id(engine::ToolCall& call) {
    if (call.id.empty()) call.id = "call_" + new_answer_id();
  }

  static void append_call(std::string& out, const engine::ToolCall& call,
                          std::string_view arguments) {
    out += R"("id":)";
    append_json_text(out, call.id);
    out += R"(,"type":"function","function":{"name":)";
    append_json_text(out, call.name);
    out += R"(,"arguments":)";
    append_json_text(out, arguments);
    out += '}';
  }

  // The fields of "delta" for what the piece adds; empty: nothing.
  std::string said_since(Said& said, const llm::CompletionPiece& piece) const {
    said.text += piece.text;
    std::string delta;
    if (prompt_.format == nullptr) {
      append_field(delta, "content", piece.text);
      return delta;
    }
    const engine::ChatReply reply =
        interpreter_->read_reply(prompt_, said.text, piece.finish.has_value());
    append_field(delta, "reasoning_content", grown(said.reasoning, reply.reasoning));
    append_field(delta, "content", grown(said.content, reply.content));
    std::string calls;
    for (std::size_t i = 0; i < reply.tool_calls.size(); ++i)
      append_call_since(calls, said, i, reply.tool_calls[i]);
    if (!calls.empty()) {
      if (!delta.empty()) delta += ',';
      delta += R"("tool_calls":[)" + calls + ']';
    }
    return delta;
  }

  // What `now` has beyond `before`, which it becomes. What was sent cannot be taken back: a reading
  // that no longer begins with it adds nothing.
  static std::string grown(std::string& before, const std::string& now) {
    if (!now.starts_with(before)) return "";
    std::string more = now.substr(before.size());
    before = now;
    return more;
  }

  static void append_field(std::string& out, std::string_view name, std::string_view text) {
    if (text.empty()) return;
    if (!out.empty()) out += ',';
    append_json_string(out, name);
    out += ':';
    append_json_text(out, text);
  }

  // A call's name comes whole, its arguments piece by piece.
  static void append_call_since(std::string& out, Said& said, std::size_t index,
                                const engine::ToolCall& call) {
    const bool first = index == said.calls.size();
    if (first && call.name.empty()) return;
    if (index > said.calls.size()) return;  // the one before has no name yet
    if (first) {
      said.calls.push_back({call.id, call.name, ""});
      give_id(said.calls.back());
    }
    engine::ToolCall& sent = said.calls[index];
    const std::string more = grown(sent.arguments, call.arguments);
    if (!first && more.empty()) return;
    out += out.empty() ? R"({"index":)" : R"(,{"index":)";
    append_json_number(out, index);
    out += ',';
    if (first) {
      append_call(out, sent, more);
    } else {
      out += R"("function":{"arguments":)";
      append_json_text(out, more);
      out += '}';
    }
    out += '}';
  }

  void append_chunk(std::string& events, std::size_t index, std::string_view delta,
                    std::span<const llm::TokenChances> chances, std::string_view finish) const {
    std::string chunk = "{";
    append_head(chunk, head_, kPrefix, "chat.completion.chunk");
    chunk += R"(,"choices":[{"index":)";
    append_json_number(chunk, index);
    chunk += R"(,"delta":{)";
    chunk += delta;
    chunk += R"(},"logprobs":)";
    if (chances.empty()) {
      chunk += "null";
    } else {
      append_logprobs(chunk, chances);
    }
    chunk += R"(,"finish_reason":)";
    if (finish.empty()) {
      chunk += "null";
    } else {
      append_json_string(chunk, finish);
    }
    chunk += usage_ ? R"(}],"usage":null})" : "}]}";
    append_event(events, chunk);
  }

  const AnswerHead head_;
  const bool chances_;
  const bool usage_;
  const SharedInterpreter interpreter_;
  const engine::ChatPrompt prompt_;
  std::vector<Said> said_;  // by choice
};

}  // namespace

std::unique_ptr<AnswerFormat> chat_format(AnswerHead head, const TextWishes& wishes,
                                          SharedInterpreter interpreter,
                                          engine::ChatPrompt prompt) {
  return std::make_unique<ChatFormat>(std::move(head), wishes, std::move(interpreter),
                                      std::move(prompt));
}

}  // namespace baozi::api
