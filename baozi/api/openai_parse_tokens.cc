// Embeddings, and llama-server's /tokenize and /detokenize.
#include "baozi/api/openai_fields.h"
#include "baozi/api/openai_parse.h"

namespace baozi::api {
namespace {

std::vector<std::string> read_texts(ondemand::value value) {
  std::vector<std::string> texts;
  if (is_string(value)) {
    texts.emplace_back(take_string(value, "'input'"));
    return texts;
  }
  for (auto item : take_array(value, "'input'")) {
    ondemand::value part = take(std::move(item));
    if (texts.size() == kEmbedTextsMax)
      invalid(fmt::format("'input' has at most {} texts", kEmbedTextsMax));
    if (!is_string(part))
      invalid("'input' is a text or a list of texts; tokens are not taken: the model has its own");
    texts.emplace_back(take_string(part, "'input'"));
  }
  return texts;
}

}  // namespace

EmbeddingsRequest parse_embeddings_request(std::string_view body, std::size_t spare) {
  EmbeddingsRequest request;
  read_body(body, spare, [&](std::string_view key, ondemand::value value) {
    if (key == "model") {
      request.model = take_string(value, quoted(key));
    } else if (key == "input") {
      request.texts = read_texts(value);
    } else if (key == "encoding_format") {
      const std::string_view name = take_string(value, quoted(key));
      if (name != "float" && name != "base64")
        invalid(fmt::format("'encoding_format' is \"float\" or \"base64\", not \"{}\"", name));
      request.base64 = name == "base64";
    } else if (key == "dimensions") {
      request.dimensions = take_int_in(value, key, 1, 1 << 30);
    }
  });
  if (request.texts.empty()) throw FieldError("input", "the request has no 'input'");
  return request;
}

TokenizeRequest parse_tokenize_request(std::string_view body, std::size_t spare) {
  TokenizeRequest request;
  bool seen = false;
  read_body(body, spare, [&](std::string_view key, ondemand::value value) {
    if (key == "model") {
      request.model = take_string(value, quoted(key));
    } else if (key == "content") {
      request.content = take_string(value, quoted(key));
      seen = true;
    } else if (key == "add_special") {
      request.add_special = take_bool(value, quoted(key));
    } else if (key == "parse_special") {
      request.parse_special = take_bool(value, quoted(key));
    } else if (key == "with_pieces") {
      request.with_pieces = take_bool(value, quoted(key));
    }
  });
  if (!seen) throw FieldError("content", "the request has no 'content'");
  return request;
}

DetokenizeRequest parse_detokenize_request(std::string_view body, std::size_t spare) {
  DetokenizeRequest request;
  bool seen = false;
  read_body(body, spare, [&](std::string_view key, ondemand::value value) {
    if (key == "model") {
      request.model = take_string(value, quoted(key));
    } else if (key == "tokens") {
      seen = true;
      for (auto item : take_array(value, quoted(key)))
        request.tokens.push_back(take_token(take(std::move(item)), key));
    }
  });
  if (!seen) throw FieldError("tokens", "the request has no 'tokens'");
  return request;
}

}  // namespace baozi::api
