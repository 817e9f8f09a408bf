// OpenAI's requests. The first byte says of which endpoint. What parses keeps the limits it was
// checked against.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "baozi/api/openai_error.h"
#include "baozi/api/openai_parse.h"

namespace {

using namespace baozi;

void check(const api::TextWishes& wishes) {
  const llm::CompletionRequest& asked = wishes.completion;
  if (wishes.n < 1 || wishes.n > api::kChoicesMax || asked.stops.size() > api::kStopsMax ||
      asked.sampling.bias.size() > api::kBiasMax || asked.chances > api::kChancesMax ||
      !(asked.sampling.temperature >= 0 && asked.sampling.temperature <= 2)) {
    __builtin_trap();
  }
}

void parse(int endpoint, std::string_view body) {
  switch (endpoint) {
    case 0:
      return check(api::parse_chat_request(body, 0).wishes);
    case 1: {
      const api::TextRequest text = api::parse_text_request(body, 0);
      if (text.prompts.empty() || text.prompts.size() > api::kAnswersMax) __builtin_trap();
      return check(text.wishes);
    }
    case 2:
      return check(api::parse_responses_request(body, 0).chat.wishes);
    case 3:
      if (api::parse_embeddings_request(body, 0).texts.size() > api::kEmbedTextsMax)
        __builtin_trap();
      return;
    case 4:
      api::parse_tokenize_request(body, 0);
      return;
    default:
      api::parse_detokenize_request(body, 0);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);
  try {
    parse(data[0] % 6, body);
  } catch (const Error& error) {
    if (error.code() != Code::kInvalidArgument) __builtin_trap();
    api::format_openai_error(error);
  }
  return 0;
}
