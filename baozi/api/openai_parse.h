// OpenAI's requests: JSON text in, values out. Fields that are not known are left alone, as OpenAI
// does; null stands for a field that is not there.
//
// `body` is the request's; at least `spare` readable bytes follow it. Errors: FieldError with the
// field that is of the wrong kind or out of range; Error kInvalidArgument for what is no JSON
// object in UTF-8.
//
// Thread safety: free functions.
//
//   ChatRequest chat = parse_chat_request(request.body.text(), net::HttpRequest::kBodyPadding);
#pragma once

#include <cstddef>
#include <string_view>

#include "baozi/api/openai_request.h"

namespace baozi::api {

ChatRequest parse_chat_request(std::string_view body, std::size_t spare);
TextRequest parse_text_request(std::string_view body, std::size_t spare);
ResponsesRequest parse_responses_request(std::string_view body, std::size_t spare);
EmbeddingsRequest parse_embeddings_request(std::string_view body, std::size_t spare);
TokenizeRequest parse_tokenize_request(std::string_view body, std::size_t spare);
DetokenizeRequest parse_detokenize_request(std::string_view body, std::size_t spare);

}  // namespace baozi::api
