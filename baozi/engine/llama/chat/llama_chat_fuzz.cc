// Text as messages, as a schema and as the answer of a model with tools: each gives a result or an
// Error, and what is read of a growing answer never fails.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "baozi/base/error.h"
#include "baozi/engine/llama/chat/common_chat.h"

namespace {

// The form that Hermes and Qwen use.
constexpr const char* kTemplate = R"({%- if tools %}{{- '<|im_start|>system\n<tools>' }}
{%- for tool in tools %}{{- "\n" + (tool | tojson) }}{%- endfor %}
{{- "\n</tools>\n<tool_call>\n{\"name\": <name>, \"arguments\": <object>}\n</tool_call><|im_end|>\n" }}
{%- endif %}
{%- for message in messages %}
{{- '<|im_start|>' + message.role + '\n' + (message.content or '') }}
{%- for call in message.tool_calls or [] %}
{{- '\n<tool_call>\n{"name": "' + call.function.name + '", "arguments": ' }}
{{- call.function.arguments | tojson }}{{- '}\n</tool_call>' }}
{%- endfor %}{{- '<|im_end|>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %})";

template <class Call>
void survive(const Call& call) {
  try {
    call();
  } catch (const baozi::Error&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace baozi::engine;
  static const std::unique_ptr<LlamaChat> chat = open_common_chat(nullptr, kTemplate);
  static const ChatPrompt prompt =
      chat->chat({.messages = R"([{"role": "user", "content": "a"}])",
                  .tools = R"([{"type": "function", "function": {"name": "f", "parameters":
                   {"type": "object", "properties": {"x": {"type": "string"}}}}}])"});
  if (prompt.format == nullptr) std::abort();
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  survive([&] { common_grammar_of_schema(text); });
  survive([&] { (void)chat->chat({.messages = std::string(text)}); });
  survive([&] { (void)chat->chat({.messages = std::string(text), .tools = std::string(text)}); });
  for (const std::size_t cut : {size, size / 2, size / 3})
    (void)chat->read_reply(*prompt.format, text.substr(0, cut), false);
  (void)chat->read_reply(*prompt.format, text, true);
  return 0;
}
