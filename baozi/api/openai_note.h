// TextNote: what is written down of a request for text while its model is there, so that
// openai_kept.h finds and writes its answers while it is not. The prompt counts there as it came:
// what the template and the vocabulary make of it nobody knows without the model.
//
//   std::unique_ptr<TextNote> note = TextNote::of(cache, *servable, ask);   // null: none is wanted
//   note->asks(completion_request);                                        // of each answer
//   …
//   note->write(servable->language(), answers);
//
// Thread safety: a note by one task at a time; free functions.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "baozi/api/openai_format.h"
#include "baozi/api/openai_request.h"
#include "baozi/llm/language_servable.h"
#include "baozi/model/cache_key.h"
#include "baozi/model/model_cache.h"

namespace baozi::api {

// What two requests have in common whose answers are the same and are said in the same words;
// `scope` stands for the model. The adapter of the wishes is set. Not part of it: whether it is
// streamed, who asks, and which endpoint, for a conversation.
model::CacheKey ask_key(const model::CacheKey& scope, const TextAsk& ask);

class TextNote {
 public:
  // Null when the answer may be another one each time or is not to be kept, when the note is there
  // already, and where the template reads the clock. `cache`, which outlives it, is the servable's;
  // null: it has none.
  static std::unique_ptr<TextNote> of(model::ModelCache* cache, llm::LanguageServable& servable,
                                      const TextAsk& ask);

  // By prompt, then by choice.
  void asks(const llm::CompletionRequest& request);
  // How the answers of a conversation are written.
  void is_read_by(std::shared_ptr<const engine::ReplyFormat> format) {
    format_ = std::move(format);
  }
  void echoes(std::vector<std::string> texts) { echoes_ = std::move(texts); }

  // When all answers have ended well.
  void write(const engine::LanguageModel& model, const std::vector<Answer>& answers) const;

 private:
  TextNote(model::ModelCache& cache, const model::CacheKey& scope, const model::CacheKey& key)
      : cache_(cache), scope_(scope), key_(key) {}

  model::ModelCache& cache_;
  const model::CacheKey scope_;
  const model::CacheKey key_;
  std::vector<model::CacheKey> answers_;
  std::shared_ptr<const engine::ReplyFormat> format_;
  std::vector<std::string> echoes_;
};

}  // namespace baozi::api
