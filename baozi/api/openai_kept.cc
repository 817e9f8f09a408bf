#include "baozi/api/openai_kept.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>
#include <variant>
#include <vector>

#include "baozi/api/openai_note.h"
#include "baozi/llm/answer_log.h"
#include "baozi/llm/cached_answer.h"
#include "baozi/llm/kept_text.h"

namespace baozi::api {
namespace {

using Found = std::optional<model::ResponseCache::Answer>;
using Completions = std::vector<std::unique_ptr<llm::Completion>>;

class KeptInterpreter final : public Interpreter {
 public:
  explicit KeptInterpreter(llm::KeptText kept) : kept_(std::move(kept)) {}

  std::string piece(engine::Token token) const override {
    const auto at = kept_.pieces.find(token);
    return at == kept_.pieces.end() ? "" : at->second;
  }
  engine::ChatReply read_reply(const engine::ChatPrompt&, std::string_view text,
                               bool) const override {
    const engine::ChatReply* const reply = llm::find_reply(kept_, text);
    return reply != nullptr ? *reply : engine::ChatReply{std::string(text), "", {}};
  }

 private:
  const llm::KeptText kept_;
};

std::size_t prompts_of(const TextAsk& ask) {
  const auto* const text = std::get_if<TextRequest>(&ask);
  return text != nullptr ? text->prompts.size() : 1;
}

bool fits(const llm::KeptText& kept, const TextAsk& ask) {
  const auto* const text = std::get_if<TextRequest>(&ask);
  const std::size_t echoes = text != nullptr && text->echo ? text->prompts.size() : 0;
  return kept.answers.size() == prompts_of(ask) * static_cast<std::size_t>(wishes_of(ask).n) &&
         kept.echoes.size() == echoes;
}

AnswerHead head_of(const model::ModelCache& cache, const TextWishes& wishes) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return {new_answer_id(), std::chrono::duration_cast<std::chrono::seconds>(now).count(),
          wishes.completion.adapter > 0 ? wishes.model : cache.model()};
}

// What was noted of the request, when it answers the request.
Task<std::optional<llm::KeptText>> find_note(model::ModelCache* cache, model::CacheKey scope,
                                             const TextAsk* ask) {
  Task<Found> looking = cache->look(scope, ask_key(scope, *ask));
  const Found found = co_await std::move(looking);
  std::optional<llm::KeptText> kept;
  if (found) kept = llm::decode_kept_text(found->bytes);
  if (kept && !fits(*kept, *ask)) kept.reset();
  co_return kept;
}

// Empty when one of them is gone, or is no more what was noted.
Task<Completions> find_answers(model::ModelCache* cache, model::CacheKey scope,
                               const llm::KeptText* kept) {
  Completions completions;
  for (const model::CacheKey& key : kept->answers) {
    Task<Found> looking = cache->look(scope, key);
    const Found found = co_await std::move(looking);
    std::optional<llm::CachedAnswer> answer;
    if (found) answer = llm::decode_answer(found->bytes);
    if (!answer || !llm::says_all_of(*kept, answer->whole)) co_return Completions();
    const Duration age = std::max(Clock::now() - found->stored, Duration{});
    completions.push_back(std::make_shared<llm::AnswerLog>(*std::move(answer), age)->join());
  }
  co_return completions;
}

std::unique_ptr<AnswerFormat> format_of(const TextAsk& ask, AnswerHead head, llm::KeptText kept) {
  std::vector<std::string> echoes = std::move(kept.echoes);
  echoes.resize(prompts_of(ask));
  engine::ChatPrompt prompt;
  if (!kept.replies.empty()) prompt.format = std::make_shared<engine::ReplyFormat>();
  auto interpreter = std::make_shared<KeptInterpreter>(std::move(kept));
  if (const auto* responses = std::get_if<ResponsesRequest>(&ask))
    return responses_format(std::move(head), *responses, std::move(interpreter), std::move(prompt));
  const TextWishes& wishes = wishes_of(ask);
  if (std::holds_alternative<ChatRequest>(ask))
    return chat_format(std::move(head), wishes, std::move(interpreter), std::move(prompt));
  return text_format(std::move(head), wishes, std::move(interpreter), std::move(echoes));
}

}  // namespace

Task<std::optional<TextCall>> find_kept(model::ModelCache* cache, std::string version,
                                        TextAsk ask) {
  const std::optional<model::CacheKey> scope = cache->scope(version);
  if (!scope) co_return std::nullopt;
  Task<std::optional<llm::KeptText>> noting = find_note(cache, *scope, &ask);
  std::optional<llm::KeptText> kept = co_await std::move(noting);
  if (!kept) co_return std::nullopt;
  Task<Completions> finding = find_answers(cache, *scope, &*kept);
  Completions completions = co_await std::move(finding);
  if (completions.empty()) co_return std::nullopt;
  for (std::size_t i = 0; i < completions.size(); ++i)
    cache->count(model::ModelCache::Result::kHit);
  const TextWishes& wishes = wishes_of(ask);
  std::optional<TextCall> call(std::in_place);
  call->model = cache->model();
  call->stream = wishes.stream;
  call->format = format_of(ask, head_of(*cache, wishes), *std::move(kept));
  call->answers =
      std::make_unique<Answers>(std::move(completions), static_cast<std::size_t>(wishes.n));
  co_return call;
}

}  // namespace baozi::api
