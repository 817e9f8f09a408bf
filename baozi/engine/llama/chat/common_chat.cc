#include "baozi/engine/llama/chat/common_chat.h"

#include <chat-auto-parser.h>
#include <chat.h>
#include <fmt/format.h>
#include <json-schema-to-grammar.h>
#include <llama.h>
#include <log.h>

#include <algorithm>
#include <array>
#include <exception>
#include <list>
#include <mutex>
#include <utility>

#include "baozi/base/error.h"
#include "baozi/engine/llama/chat/json_text.h"
#include "baozi/engine/llama/chat/read_input.h"
#include "baozi/engine/llama/chat/reply.h"

namespace baozi::engine {
namespace {

constexpr std::size_t kFormsMax = 32;
// Llama 3 may put it before a call; its templates call that an environment.
constexpr std::string_view kPythonTag = "<|python_tag|>";
constexpr std::string_view kPythonSign = "Environment: ipython";

// What of a prompt does not depend on the messages.
struct Form {
  ChatPrompt prompt;         // without its text
  std::string answer_start;  // what the template writes of the answer
};

// Of a Jinja error, which tells where in the template it came from.
std::string template_reason(std::string_view message) {
  for (const std::string_view mark : {"Jinja Exception: ", "Error: "}) {
    const std::size_t at = message.rfind(mark);
    if (at != std::string_view::npos) return brief(message.substr(at + mark.size()));
  }
  return brief(message);
}

std::vector<GrammarTrigger> triggers_of(const common_chat_params& params) {
  std::vector<GrammarTrigger> triggers;
  for (const common_grammar_trigger& trigger : params.grammar_triggers) {
    switch (trigger.type) {
      case COMMON_GRAMMAR_TRIGGER_TYPE_PATTERN:
        triggers.push_back({trigger.value, true});
        break;
      case COMMON_GRAMMAR_TRIGGER_TYPE_PATTERN_FULL:
        triggers.push_back({"^" + trigger.value + "$", true});
        break;
      case COMMON_GRAMMAR_TRIGGER_TYPE_WORD:
      case COMMON_GRAMMAR_TRIGGER_TYPE_TOKEN:
        triggers.push_back({trigger.value, false});
        break;
    }
  }
  return triggers;
}

// Those of `texts` that are one special token of the model.
std::vector<Token> special_tokens(const llama_model* model, const std::vector<std::string>& texts) {
  std::vector<Token> tokens;
  if (model == nullptr) return tokens;
  const llama_vocab* vocabulary = llama_model_get_vocab(model);
  for (const std::string& text : texts) {
    std::array<Token, 2> found{};
    const std::int32_t count =
        llama_tokenize(vocabulary, text.data(), static_cast<std::int32_t>(text.size()),
                       found.data(), static_cast<std::int32_t>(found.size()), false, true);
    if (count == 1) tokens.push_back(found[0]);
  }
  return tokens;
}

class CommonChat final : public LlamaChat {
 public:
  CommonChat(const llama_model* model, const std::string& jinja)
      : model_(model), templates_(common_chat_templates_init(model, jinja)) {
    source_ = common_chat_templates_source(templates_.get());
    tools_ = common_chat_templates_get_caps(templates_.get())["supports_tools"];
    python_tag_ = source_.find(kPythonSign) != std::string::npos;
    by_messages_ = depends_on_messages();
  }

  std::string text(std::span<const ChatMessage> messages, bool answer) const override {
    common_chat_templates_inputs inputs;
    for (const ChatMessage& message : messages) {
      common_chat_msg& turn = inputs.messages.emplace_back();
      turn.role = message.role;
      turn.content = message.content;
    }
    inputs.add_generation_prompt = answer;
    inputs.force_pure_content = true;
    return apply(inputs).prompt;
  }

  ChatPrompt chat(const ChatInput& input) const override {
    common_chat_templates_inputs inputs = read_chat_input(input);
    if (calls(inputs) && !tools_) {
      throw Error(Code::kInvalidArgument,
                  "the model's chat template knows no tools; leave them out, load the model with a "
                  "template that does, or take a model that was trained for them");
    }
    const std::string key = by_messages_ ? "" : key_of(input);
    if (const std::shared_ptr<const Form> known = find_form(key)) {
      inputs.force_pure_content = true;  // the text only
      common_chat_params params = apply(inputs);
      if (params.generation_prompt == known->answer_start) {
        ChatPrompt prompt = known->prompt;
        prompt.text = std::move(params.prompt);
        return prompt;
      }
      inputs.force_pure_content = false;
    }
    common_chat_params params = apply(inputs);
    const std::shared_ptr<const Form> form = make_form(input, inputs, params);
    keep_form(key, form);
    ChatPrompt prompt = form->prompt;
    prompt.text = std::move(params.prompt);
    return prompt;
  }

  ChatReply read_reply(const ReplyFormat& format, std::string_view text,
                       bool whole) const override {
    return read_common_reply(dynamic_cast<const CommonReplyFormat&>(format), text, whole);
  }

 private:
  static bool calls(const common_chat_templates_inputs& inputs) {
    return !inputs.tools.empty() && inputs.tool_choice != COMMON_CHAT_TOOL_CHOICE_NONE;
  }

  // Whether the library has code for this very template, which may look at the messages for more
  // than their text.
  bool depends_on_messages() const {
    if (!common_chat_templates_source(templates_.get(), "tool_use").empty()) return true;
    try {
      const common_chat_template parsed(source_, "", "");
      autoparser::generation_params params;
      params.messages = common_json::parse(R"([{"role": "user", "content": "a"}])");
      return common_chat_try_specialized_template(parsed, source_, params).has_value();
    } catch (const std::exception&) {
      return true;
    }
  }

  common_chat_params apply(const common_chat_templates_inputs& inputs) const {
    try {
      return common_chat_templates_apply(templates_.get(), inputs);
    } catch (const std::exception& error) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("the model's chat template refuses the conversation: {}",
                              template_reason(error.what())));
    }
  }

  std::shared_ptr<const Form> make_form(const ChatInput& input,
                                        const common_chat_templates_inputs& inputs,
                                        const common_chat_params& params) const {
    auto form = std::make_shared<Form>();
    form->answer_start = params.generation_prompt;
    ChatPrompt& prompt = form->prompt;
    prompt.grammar = params.grammar;
    if (params.grammar_lazy) {
      prompt.grammar_triggers = triggers_of(params);
    } else if (!params.grammar.empty()) {
      prompt.grammar_prefix = params.generation_prompt;
    }
    if (!input.grammar.empty()) {
      prompt.grammar = input.grammar;
      prompt.grammar_prefix.clear();
      prompt.grammar_triggers.clear();
    }
    prompt.stops = params.additional_stops;
    prompt.visible = special_tokens(model_, params.preserved_tokens);
    if (!by_messages_ && !calls(inputs) && !params.supports_thinking)
      return form;  // the text as it is
    auto format = std::make_shared<CommonReplyFormat>();
    format->parser = common_chat_parser_params(params);
    format->parser.reasoning_format = inputs.reasoning_format;
    format->parser.parse_tool_calls = calls(inputs);
    if (!params.parser.empty()) format->parser.parser.load(params.parser);
    if (python_tag_ && calls(inputs)) format->ignored_start = kPythonTag;
    prompt.format = std::move(format);
    return form;
  }

  static std::string key_of(const ChatInput& input) {
    std::string key;
    for (const std::string* text : {&input.tools, &input.schema, &input.grammar, &input.options}) {
      key += fmt::format("{}:{}", text->size(), *text);
    }
    return key + fmt::format("{}{}{}", static_cast<int>(input.tool_choice),
                             input.parallel_tool_calls, input.answer);
  }

  std::shared_ptr<const Form> find_form(const std::string& key) const {
    if (key.empty()) return nullptr;
    const std::lock_guard lock(mutex_);
    const auto found = std::ranges::find(forms_, key, &Forms::value_type::first);
    if (found == forms_.end()) return nullptr;
    forms_.splice(forms_.begin(), forms_, found);
    return found->second;
  }

  void keep_form(const std::string& key, std::shared_ptr<const Form> form) const {
    if (key.empty()) return;
    const std::lock_guard lock(mutex_);
    std::erase_if(forms_, [&](const auto& each) { return each.first == key; });
    forms_.emplace_front(key, std::move(form));
    if (forms_.size() > kFormsMax) forms_.pop_back();
  }

  using Forms = std::list<std::pair<std::string, std::shared_ptr<const Form>>>;

  const llama_model* const model_;
  const common_chat_templates_ptr templates_;
  std::string source_;
  bool tools_ = false;  // whether the template writes them
  bool python_tag_ = false;
  bool by_messages_ = false;
  // To find out how a template wants its answers takes twenty times as long as to fill it in.
  mutable std::mutex mutex_;
  mutable Forms forms_;  // guarded by mutex_; the last used first
};

}  // namespace

std::unique_ptr<LlamaChat> open_common_chat(const llama_model* model, const std::string& jinja) {
  // What it logs are its exceptions, which are reported; and a log would start a thread.
  common_log_set_verbosity_thold(-1);
  try {
    return std::make_unique<CommonChat>(model, jinja);
  } catch (const std::exception& error) {
    throw Error(Code::kFailedPrecondition,
                fmt::format("the chat template cannot be used: {}", template_reason(error.what())));
  }
}

std::string common_grammar_of_schema(std::string_view json_schema) {
  const common_json schema = read_schema_json("schema", json_schema);
  try {
    return json_schema_to_grammar(schema);
  } catch (const std::exception& error) {
    throw Error(Code::kInvalidArgument, fmt::format("the schema: {}", error.what()));
  }
}

}  // namespace baozi::engine
