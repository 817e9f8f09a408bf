// What OpenAI's requests for text say, as values. Source: OpenAI's API reference; for the fields
// beyond it llama-server's tools/server/README.md.
//
// Thread safety: values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "baozi/engine/language.h"
#include "baozi/llm/completion.h"

namespace baozi::api {

// Limits on what one request asks for.
inline constexpr int kChoicesMax = 16;               // "n"
inline constexpr std::size_t kAnswersMax = 64;       // prompts times "n"
inline constexpr std::size_t kStopsMax = 128;        // stop strings
inline constexpr std::size_t kBiasMax = 1024;        // entries of "logit_bias"
inline constexpr int kChancesMax = 20;               // likeliest tokens beside each
inline constexpr std::size_t kEmbedTextsMax = 2048;  // texts of one request for embeddings

// A prompt as text, or already as tokens.
using Prompt = std::variant<std::string, std::vector<engine::Token>>;

// What all of them may say.
struct TextWishes {
  std::string model;                  // "": the only one there is
  llm::CompletionRequest completion;  // without its prompt
  std::optional<std::uint32_t> seed;  // unset: a new one each time
  int n = 1;
  bool stream = false;
  bool include_usage = false;  // in the stream's last event
  std::string json_schema;     // JSON text that the answer must follow; empty: none
};

// POST /v1/chat/completions; of POST /v1/responses, too, what is a conversation.
struct ChatRequest {
  TextWishes wishes;
  // JSON texts, as chat completions has them; empty: not given.
  std::string messages;
  std::string tools;
  std::string template_arguments;
  engine::ToolChoice tool_choice = engine::ToolChoice::kAuto;
  bool parallel_tool_calls = true;
};

// POST /v1/completions.
struct TextRequest {
  TextWishes wishes;
  std::vector<Prompt> prompts;
  bool echo = false;  // the answer's text begins with the prompt
};

// POST /v1/responses.
struct ResponsesRequest {
  ChatRequest chat;
  std::string instructions;  // given back with the response
  std::string format;        // JSON text of "text.format"; empty: not given
};

// Any of those.
using TextAsk = std::variant<ChatRequest, TextRequest, ResponsesRequest>;

// Of a TextAsk or a const one.
template <class Ask>
auto& wishes_of(Ask& ask) noexcept {
  if (auto* chat = std::get_if<ChatRequest>(&ask)) return chat->wishes;
  if (auto* text = std::get_if<TextRequest>(&ask)) return text->wishes;
  return std::get_if<ResponsesRequest>(&ask)->chat.wishes;
}

// POST /v1/embeddings.
struct EmbeddingsRequest {
  std::string model;
  std::vector<std::string> texts;
  bool base64 = false;
  std::optional<std::int64_t> dimensions;
};

// POST /tokenize.
struct TokenizeRequest {
  std::string model;
  std::string content;
  bool add_special = false;
  bool parse_special = true;
  bool with_pieces = false;
};

// POST /detokenize.
struct DetokenizeRequest {
  std::string model;
  std::vector<engine::Token> tokens;
};

}  // namespace baozi::api
