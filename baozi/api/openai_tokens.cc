#include "baozi/api/openai_tokens.h"

#include <fmt/format.h>

#include <vector>

#include "baozi/api/base64.h"
#include "baozi/api/json_writer.h"
#include "baozi/api/openai_error.h"

namespace baozi::api {
namespace {

void check_dimensions(const EmbeddingsRequest& request, const model::Servable& servable,
                      std::int64_t width) {
  if (!request.dimensions || *request.dimensions == width) return;
  throw FieldError("dimensions", fmt::format("the vectors of model '{}' have {} dimensions, and "
                                             "are not cut to {}",
                                             servable.name(), width, *request.dimensions));
}

void append_vector(std::string& out, std::span<const float> numbers, bool base64) {
  if (base64) {  // of little-endian floats
    const auto bytes = std::as_bytes(numbers);
    out += '"';
    out += encode_base64({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    out += '"';
    return;
  }
  out += '[';
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    if (i > 0) out += ',';
    append_json_number(out, numbers[i]);
  }
  out += ']';
}

// A string, or a list of bytes when those are a part of a character.
void append_piece(std::string& out, std::string_view piece) {
  if (is_utf8(piece)) return append_json_string(out, piece);
  append_json_bytes(out, piece);
}

}  // namespace

model::InferRequest embeddings_input(const EmbeddingsRequest& request,
                                     const model::Servable& servable) {
  const engine::Signature& signature = servable.signature();
  const std::int64_t width = signature.outputs.front().shape[1];
  if (width > 0) check_dimensions(request, servable, width);
  model::InferRequest infer;
  infer.model = servable.name();
  infer.version = servable.version();
  const std::vector<std::string_view> texts(request.texts.begin(), request.texts.end());
  infer.inputs.push_back({signature.inputs.front().name,
                          Tensor::of_strings({static_cast<std::int64_t>(texts.size())}, texts)});
  return infer;
}

std::string format_embeddings(const EmbeddingsRequest& request, const model::Servable& servable,
                              const model::InferResponse& response) {
  const std::string& name = servable.signature().outputs.front().name;
  const Tensor& vectors = get_tensor(response.outputs, name);
  const Shape& shape = vectors.shape();
  if (vectors.dtype() != DType::kFp32 || shape.rank() != 2 ||
      shape[0] != static_cast<std::int64_t>(request.texts.size())) {
    throw Error(Code::kInternal, fmt::format("output '{}' of model '{}' is {} {} for {} texts",
                                             name, servable.name(), dtype_name(vectors.dtype()),
                                             to_string(shape), request.texts.size()));
  }
  check_dimensions(request, servable, shape[1]);
  const auto width = static_cast<std::size_t>(shape[1]);
  std::string out = R"({"object":"list","data":[)";
  for (std::size_t i = 0; i < request.texts.size(); ++i) {
    out += i > 0 ? R"(,{"object":"embedding","index":)" : R"({"object":"embedding","index":)";
    append_json_number(out, i);
    out += R"(,"embedding":)";
    append_vector(out, vectors.values<float>().subspan(i * width, width), request.base64);
    out += '}';
  }
  out += R"(],"model":)";
  append_json_text(out, servable.name());
  out += R"(,"usage":{"prompt_tokens":0,"total_tokens":0}})";
  return out;
}

std::string format_tokens(const TokenizeRequest& request, const engine::LanguageModel& model) {
  const std::vector<engine::Token> tokens =
      model.tokenize(request.content, request.add_special, request.parse_special);
  std::string out = R"({"tokens":[)";
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (i > 0) out += ',';
    if (!request.with_pieces) {
      append_json_number(out, tokens[i]);
      continue;
    }
    out += R"({"id":)";
    append_json_number(out, tokens[i]);
    out += R"(,"piece":)";
    append_piece(out, model.piece(tokens[i], true));
    out += '}';
  }
  out += "]}";
  return out;
}

std::string format_content(const DetokenizeRequest& request, const engine::LanguageModel& model) {
  const int vocabulary = model.facts().vocabulary;
  std::string text;
  for (const engine::Token token : request.tokens) {
    if (token >= vocabulary) {
      throw FieldError("tokens",
                       fmt::format("there is no token {}: the model has {}", token, vocabulary));
    }
    text += model.piece(token, true);
  }
  std::string out = R"({"content":)";
  append_json_text(out, text);
  out += '}';
  return out;
}

}  // namespace baozi::api
