// The response object, and the typed events by which it comes into being.
#include <utility>

#include "baozi/api/json_writer.h"
#include "baozi/api/openai_error.h"
#include "baozi/api/openai_format_parts.h"

namespace baozi::api {
namespace {

void append_text_or_null(std::string& out, std::string_view text) {
  if (text.empty()) {
    out += "null";
  } else {
    append_json_text(out, text);
  }
}

class ResponsesFormat final : public AnswerFormat {
 public:
  ResponsesFormat(AnswerHead head, const ResponsesRequest& request, SharedInterpreter interpreter,
                  engine::ChatPrompt prompt)
      : head_(std::move(head)),
        instructions_(request.instructions),
        format_(request.format.empty() ? R"({"type":"text"})" : request.format),
        completion_(request.chat.wishes.completion),
        interpreter_(std::move(interpreter)),
        prompt_(std::move(prompt)) {}

  std::string whole(const std::vector<Answer>& answers,
                    const llm::CompletionUsage& usage) override {
    const Answer& answer = answers.front();
    finish_ = answer.finish;
    return response(status(), item(status(), part(content(answer.text, true))), &usage);
  }

  std::string begin() override {
    std::string events;
    const std::string begun = response("in_progress", "", nullptr);
    append(events, "response.created", R"("response":)" + begun);
    append(events, "response.in_progress", R"("response":)" + begun);
    append(events, "response.output_item.added",
           R"("output_index":0,"item":)" + item("in_progress", ""));
    append(events, "response.content_part.added", place() + R"(,"part":)" + part(""));
    return events;
  }

  std::string add(std::size_t, const llm::CompletionPiece& piece) override {
    std::string events;
    text_ += piece.text;
    if (piece.finish) finish_ = *piece.finish;
    const std::string now = content(text_, piece.finish.has_value());
    if (now.size() <= sent_.size() || !now.starts_with(sent_)) return events;
    std::string fields = place() + R"(,"logprobs":[],"delta":)";
    append_json_text(fields, std::string_view(now).substr(sent_.size()));
    append(events, "response.output_text.delta", fields);
    sent_ = now;
    return events;
  }

  std::string end(const llm::CompletionUsage& usage) override {
    std::string events;
    std::string text = place() + R"(,"logprobs":[],"text":)";
    append_json_text(text, sent_);
    append(events, "response.output_text.done", text);
    append(events, "response.content_part.done", place() + R"(,"part":)" + part(sent_));
    const std::string output = item(status(), part(sent_));
    append(events, "response.output_item.done", R"("output_index":0,"item":)" + output);
    append(events, finish_ == llm::Finish::kLength ? "response.incomplete" : "response.completed",
           R"("response":)" + response(status(), output, &usage));
    return events;
  }

  std::string fail(const Error& error) override {
    std::string events;
    std::string fields = R"("code":)";
    append_json_text(fields, code_name(error.code()));
    fields += R"(,"param":null,"message":)";
    append_json_text(fields, error.message());
    append(events, "error", fields);
    return events;
  }

 private:
  std::string_view status() const noexcept {
    return finish_ == llm::Finish::kLength ? "incomplete" : "completed";
  }

  std::string content(const std::string& text, bool whole) const {
    if (prompt_.format == nullptr) return text;
    return interpreter_->read_reply(prompt_, text, whole).content;
  }

  // Where the text stands: there is one.
  std::string place() const {
    return R"("item_id":"msg_)" + head_.id + R"(","output_index":0,"content_index":0)";
  }

  static std::string part(std::string_view text) {
    std::string out = R"({"type":"output_text","text":)";
    append_json_text(out, text);
    out += R"(,"annotations":[],"logprobs":[]})";
    return out;
  }

  std::string item(std::string_view status, std::string_view content) const {
    std::string out = R"({"type":"message","id":"msg_)" + head_.id + R"(","status":")";
    out += status;
    out += R"(","role":"assistant","content":[)";
    out += content;
    out += "]}";
    return out;
  }

  std::string response(std::string_view status, std::string_view output,
                       const llm::CompletionUsage* usage) const {
    std::string out = R"({"id":"resp_)" + head_.id + R"(","object":"response","created_at":)";
    append_json_number(out, head_.created);
    out += R"(,"status":")";
    out += status;
    out += R"(","error":null,"incomplete_details":)";
    out += status == "incomplete" ? R"({"reason":"max_output_tokens"})" : "null";
    out += R"(,"instructions":)";
    append_text_or_null(out, instructions_);
    out += R"(,"max_output_tokens":)";
    if (completion_.max_tokens < 0) {
      out += "null";
    } else {
      append_json_number(out, completion_.max_tokens);
    }
    out += R"(,"model":)";
    append_json_text(out, head_.model);
    out += R"(,"output":[)";
    out += output;
    out += R"(],"parallel_tool_calls":true,"previous_response_id":null,"store":false)";
    out += R"(,"temperature":)";
    append_json_number(out, completion_.sampling.temperature);
    out += R"(,"text":{"format":)" + format_ + R"(},"tool_choice":"auto","tools":[],"top_p":)";
    append_json_number(out, completion_.sampling.top_p);
    out += R"(,"truncation":")";
    out += completion_.overflow == llm::Overflow::kRefuse ? "disabled" : "auto";
    out += R"(","metadata":{},"usage":)";
    if (usage == nullptr) {
      out += "null";
    } else {
      append_responses_usage(out, *usage);
    }
    out += '}';
    return out;
  }

  static void append_responses_usage(std::string& out, const llm::CompletionUsage& usage) {
    out += R"({"input_tokens":)";
    append_json_number(out, usage.prompt_tokens);
    out += R"(,"input_tokens_details":{"cached_tokens":)";
    append_json_number(out, usage.cached_tokens);
    out += R"(},"output_tokens":)";
    append_json_number(out, usage.completion_tokens);
    out += R"(,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":)";
    append_json_number(out, usage.prompt_tokens + usage.completion_tokens);
    out += '}';
  }

  void append(std::string& events, std::string_view type, std::string_view fields) {
    events += "event: ";
    events += type;
    events += '\n';
    std::string json = R"({"type":")";
    json += type;
    json += R"(","sequence_number":)";
    append_json_number(json, sequence_++);
    json += ',';
    json += fields;
    json += '}';
    append_event(events, json);
  }

  const AnswerHead head_;
  const std::string instructions_;
  const std::string format_;
  const llm::CompletionRequest completion_;  // its numbers, without the prompt
  const SharedInterpreter interpreter_;
  const engine::ChatPrompt prompt_;
  int sequence_ = 0;
  std::string text_;
  std::string sent_;  // of the text
  llm::Finish finish_ = llm::Finish::kEnd;
};

}  // namespace

std::unique_ptr<AnswerFormat> responses_format(AnswerHead head, const ResponsesRequest& request,
                                               SharedInterpreter interpreter,
                                               engine::ChatPrompt prompt) {
  return std::make_unique<ResponsesFormat>(std::move(head), request, std::move(interpreter),
                                           std::move(prompt));
}

}  // namespace baozi::api
