#include "baozi/api/openai_note.h"

#include <simdjson.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <variant>

#include "baozi/base/clock.h"
#include "baozi/llm/cached_answer.h"
#include "baozi/llm/kept_text.h"
#include "baozi/model/cache_record.h"
#include "baozi/model/hasher.h"

namespace baozi::api {
namespace {

using model::CacheWish;

// What templates call the time of day: Jinja's function, and what llama.cpp sets.
constexpr std::array<std::string_view, 3> kClocks = {"strftime_now", "date_string", "datetime"};

bool reads_clock(std::string_view chat_template) {
  return std::ranges::any_of(kClocks, [chat_template](std::string_view clock) {
    return chat_template.find(clock) != std::string_view::npos;
  });
}

// JSON without the spaces between its parts.
std::string tight(const std::string& json) {
  std::string out(json.size(), '\0');
  std::size_t size = 0;
  if (simdjson::minify(json.data(), json.size(), out.data(), size) != simdjson::SUCCESS)
    return json;
  out.resize(size);
  return out;
}

void add(model::Hasher& hasher, const ChatRequest& chat) {
  hasher.add(std::string_view("conversation"));
  for (const std::string* json : {&chat.messages, &chat.tools, &chat.template_arguments})
    hasher.add(std::string_view(tight(*json)));
  hasher.add(static_cast<std::uint8_t>(chat.tool_choice));
  hasher.add(chat.parallel_tool_calls);
}

void add(model::Hasher& hasher, const ResponsesRequest& responses) { add(hasher, responses.chat); }

void add(model::Hasher& hasher, const TextRequest& text) {
  hasher.add(std::string_view("text"));
  hasher.add(text.echo);
  hasher.add(static_cast<std::uint64_t>(text.prompts.size()));
  for (const Prompt& prompt : text.prompts) {
    hasher.add(static_cast<std::uint64_t>(prompt.index()));
    if (const auto* words = std::get_if<std::string>(&prompt)) {
      hasher.add(std::string_view(*words));
      continue;
    }
    const auto& tokens = std::get<std::vector<engine::Token>>(prompt);
    hasher.add(static_cast<std::uint64_t>(tokens.size()));
    hasher.add_bytes(tokens.data(), tokens.size() * sizeof(engine::Token));
  }
}

}  // namespace

model::CacheKey ask_key(const model::CacheKey& scope, const TextAsk& ask) {
  const TextWishes& wishes = wishes_of(ask);
  model::Hasher hasher;
  hasher.add(llm::answer_key(scope, wishes.completion));
  if (wishes.completion.sampling.temperature > 0) hasher.add(wishes.seed.value_or(0));
  hasher.add(wishes.n);
  hasher.add(std::string_view(tight(wishes.json_schema)));
  std::visit([&hasher](const auto& request) { add(hasher, request); }, ask);
  return hasher.digest();
}

std::unique_ptr<TextNote> TextNote::of(model::ModelCache* cache, llm::LanguageServable& servable,
                                       const TextAsk& ask) {
  const llm::CompletionRequest& completion = wishes_of(ask).completion;
  if (cache == nullptr || !completion.repeatable || completion.cache == CacheWish::kNone)
    return nullptr;
  const std::optional<model::CacheKey> scope = cache->scope(servable.version());
  if (!scope) return nullptr;
  const model::CacheKey key = ask_key(*scope, ask);
  if (completion.cache == CacheWish::kUse && cache->look_local(*scope, key, Clock::now()))
    return nullptr;
  const bool templated = !std::holds_alternative<TextRequest>(ask);
  if (templated && reads_clock(servable.language().facts().chat_template)) return nullptr;
  return std::unique_ptr<TextNote>(new TextNote(*cache, *scope, key));
}

void TextNote::asks(const llm::CompletionRequest& request) {
  answers_.push_back(llm::answer_key(scope_, request));
}

void TextNote::write(const engine::LanguageModel& model, const std::vector<Answer>& answers) const {
  llm::KeptText kept{.answers = answers_, .echoes = echoes_};
  engine::ChatPrompt prompt;
  prompt.format = format_;
  const auto know = [&](const engine::TokenChance& chance) {
    if (!kept.pieces.contains(chance.token))
      kept.pieces.emplace(chance.token, model.piece(chance.token, true));
  };
  for (const Answer& answer : answers) {
    if (format_ != nullptr)
      kept.replies.push_back(
          {llm::answer_digest(answer.text), model.read_reply(prompt, answer.text, true)});
    for (const llm::TokenChances& each : answer.chances) {
      know(each.picked);
      std::ranges::for_each(each.likeliest, know);
    }
  }
  cache_.store_bytes(scope_, key_, llm::encode_kept_text(kept, model::kRecordHeadBytes));
}

}  // namespace baozi::api
