#include "baozi/engine/llama/llama_model.h"

#include <fmt/format.h>
#include <llama.h>

#include <array>
#include <future>
#include <mutex>
#include <string_view>
#include <utility>

#include "baozi/base/cores.h"
#include "baozi/base/error.h"
#include "baozi/engine/llama/builtin_chat.h"
#include "baozi/engine/llama/llama_chat.h"
#include "baozi/engine/llama/llama_context.h"
#include "baozi/engine/llama/llama_library.h"
#include "baozi/engine/llama/llama_sampler.h"

namespace baozi::engine {
namespace {

struct Loading {
  const std::function<void(float)>& progress;
  const StopToken& stop;
};

bool on_progress(float share, void* data) {
  const auto& loading = *static_cast<const Loading*>(data);
  if (loading.progress) loading.progress(share);
  return !loading.stop.stop_requested();
}

std::string description_of(const llama_model* model) {
  char text[128];
  llama_model_desc(model, text, sizeof text);
  return text;
}

std::map<std::string, std::string> metadata_of(const llama_model* model) {
  std::map<std::string, std::string> found;
  std::string value(1 << 16, '\0');
  for (int i = 0; i < llama_model_meta_count(model); ++i) {
    char key[256];
    if (llama_model_meta_key_by_index(model, i, key, sizeof key) < 0) continue;
    if (llama_model_meta_val_str_by_index(model, i, value.data(), value.size()) < 0) continue;
    found[key] = value.c_str();
  }
  return found;
}

// Cut off where it is too long.
template <std::size_t kSize>
void copy_to(char (&to)[kSize], std::string_view text) {
  to[text.copy(to, kSize - 1)] = '\0';
}

class LlamaModel final : public LanguageModel {
 public:
  // `words`: the vocabulary, which may still be on its way.
  LlamaModel(LlamaModelHandle model, std::shared_future<LlamaModelHandle> words,
             LlamaAdapters adapters, LanguageFacts facts, LanguageOptions options)
      : model_(std::move(model)),
        words_(std::move(words)),
        adapters_(std::move(adapters)),
        facts_(std::move(facts)),
        options_(std::move(options)) {
    facts_.description = description_of(model_.get());
    facts_.parameters = static_cast<std::int64_t>(llama_model_n_params(model_.get()));
    facts_.vocabulary = llama_vocab_n_tokens(llama_model_get_vocab(model_.get()));
    facts_.metadata = metadata_of(model_.get());
    if (!options_.chat_template.empty()) facts_.chat_template = options_.chat_template;
  }

  const LanguageFacts& facts() const noexcept override { return facts_; }

  std::vector<Token> tokenize(std::string_view text, bool begin, bool special) const override {
    if (text.size() > INT32_MAX) throw Error(Code::kInvalidArgument, "the text is too long");
    std::vector<Token> tokens(text.size() / 2 + 8);
    const auto write = [&] {
      return llama_tokenize(vocabulary(), text.data(), static_cast<std::int32_t>(text.size()),
                            tokens.data(), static_cast<std::int32_t>(tokens.size()), begin,
                            special);
    };
    std::int32_t count = write();
    if (count == INT32_MIN) throw Error(Code::kInvalidArgument, "the text is too long");
    if (count < 0) {
      tokens.resize(static_cast<std::size_t>(-count));
      count = write();
    }
    tokens.resize(static_cast<std::size_t>(count));
    return tokens;
  }

  std::string piece(Token token, bool special) const override {
    if (token < 0 || token >= facts_.vocabulary)
      throw Error(Code::kInvalidArgument, fmt::format("there is no token {}", token));
    std::string text(32, '\0');
    const auto write = [&] {
      return llama_token_to_piece(vocabulary(), token, text.data(),
                                  static_cast<std::int32_t>(text.size()), 0, special);
    };
    std::int32_t size = write();
    if (size < 0) {
      text.resize(static_cast<std::size_t>(-size));
      size = write();
    }
    text.resize(static_cast<std::size_t>(size));
    return text;
  }

  // By libllama's own knowledge of the common templates where it has it: to run the file's Jinja
  // takes milliseconds more, the first time.
  std::string chat_text(std::span<const ChatMessage> messages, bool answer) const override {
    if (facts_.chat_template.empty()) no_template();
    std::string text = builtin_chat_text(facts_.chat_template, messages, answer);
    return text.empty() ? conversations().text(messages, answer) : text;
  }

  ChatPrompt chat(const ChatInput& input) const override {
    if (facts_.chat_template.empty()) no_template();
    return has_llama_chat_library() ? conversations().chat(input)
                                    : builtin_chat(facts_.chat_template, input);
  }

  ChatReply read_reply(const ChatPrompt& prompt, std::string_view text, bool whole) const override {
    if (prompt.format == nullptr) return {std::string(text), "", {}};
    return conversations().read_reply(*prompt.format, text, whole);
  }

  std::string grammar_of_schema(std::string_view json_schema) const override {
    return llama_chat_library().grammar_of_schema(json_schema);
  }

  bool ends(Token token) const noexcept override { return llama_vocab_is_eog(vocabulary(), token); }

  std::unique_ptr<LanguageContext> create_context() override {
    std::unique_ptr<LanguageContext> context = create_llama_context(model_, adapters_, options_);
    words_.get();  // the model is whole, or this says why not
    return context;
  }

  std::unique_ptr<Sampler> create_sampler(const Sampling& sampling) const override {
    return create_llama_sampler(words_.get(), sampling);
  }

 private:
  [[noreturn]] static void no_template() {
    throw Error(Code::kFailedPrecondition, "the model's file has no chat template");
  }

  // A template that cannot be used is tried again, and says so again.
  const LlamaChat& conversations() const {
    const std::lock_guard lock(chat_mutex_);
    if (chat_ == nullptr)
      chat_ = llama_chat_library().open(words_.get().get(), options_.chat_template);
    return *chat_;
  }

  const llama_vocab* vocabulary() const { return llama_model_get_vocab(words_.get().get()); }

  const LlamaModelHandle model_;
  const std::shared_future<LlamaModelHandle> words_;
  const LlamaAdapters adapters_;
  LanguageFacts facts_;
  const LanguageOptions options_;
  mutable std::mutex chat_mutex_;
  mutable std::unique_ptr<LlamaChat> chat_;  // set once, guarded by chat_mutex_
};

LlamaModelHandle load(const std::filesystem::path& file, const llama_model_params& parameters,
                      const StopToken& stop) {
  const LlamaErrors errors;
  LlamaModelHandle model(llama_model_load_from_file(file.c_str(), parameters), FreeLlamaModel());
  if (model != nullptr) return model;
  throw_if_stopped(stop);
  throw Error(Code::kInvalidArgument,
              fmt::format("{}: llama.cpp {} cannot load it: {}", file.string(), llama_version(),
                          errors.first().empty() ? "it gave no reason" : errors.first()));
}

// A vocabulary takes libllama as long as many a model's weights. So one thread loads a model
// of nothing but the vocabulary, while the other loads the weights under a vocabulary of as many
// nameless tokens, and makes a context for them.
LlamaModelHandle load_words(const std::filesystem::path& file) {
  llama_model_params parameters = llama_model_default_params();
  parameters.vocab_only = true;
  return load(file, parameters, {});
}

LlamaModelHandle load_weights(const std::filesystem::path& file, const LanguageFacts& facts,
                              const LanguageOptions& options, const StopToken& stop) {
  Loading loading{options.progress, stop};
  llama_model_params parameters = llama_model_default_params();
  parameters.progress_callback = &on_progress;
  parameters.progress_callback_user_data = &loading;
  parameters.load_mode = options.map
                             ? (options.lock ? LLAMA_LOAD_MODE_MMAP_MLOCK : LLAMA_LOAD_MODE_MMAP)
                             : (options.lock ? LLAMA_LOAD_MODE_MLOCK : LLAMA_LOAD_MODE_NONE);
  std::array<llama_model_kv_override, 3> overrides{};  // the last one ends the list
  overrides[0].tag = LLAMA_KV_OVERRIDE_TYPE_STR;
  overrides[1].tag = LLAMA_KV_OVERRIDE_TYPE_INT;
  copy_to(overrides[0].key, "tokenizer.ggml.model");
  copy_to(overrides[0].val_str, "no_vocab");
  copy_to(overrides[1].key, facts.architecture + ".vocab_size");
  overrides[1].val_i64 = facts.vocabulary;
  parameters.kv_overrides = overrides.data();
  return load(file, parameters, stop);
}

LlamaAdapters load_adapters(llama_model* model, const LanguageOptions& options) {
  LlamaAdapters adapters;
  for (const LanguageAdapter& each : options.adapters) {
    const LlamaErrors errors;
    adapters.push_back(llama_adapter_lora_init(model, each.file.c_str()));
    if (adapters.back() != nullptr) continue;
    throw Error(Code::kInvalidArgument,
                fmt::format("{} is no adapter of this model: {}", each.file.string(),
                            errors.first().empty() ? "llama.cpp gave no reason" : errors.first()));
  }
  return adapters;
}

}  // namespace

void FreeLlamaModel::operator()(llama_model* model) const noexcept { llama_model_free(model); }

std::shared_ptr<LanguageModel> load_llama_model(const std::filesystem::path& file,
                                                LanguageFacts facts, LanguageOptions options,
                                                const StopToken& stop) {
  if (options.threads == 0) options.threads = usable_cores();
  std::shared_future<LlamaModelHandle> words = std::async(std::launch::async, load_words, file);
  LlamaModelHandle model = load_weights(file, facts, options, stop);
  LlamaAdapters adapters = load_adapters(model.get(), options);
  options.progress = nullptr;
  return std::make_shared<LlamaModel>(std::move(model), std::move(words), std::move(adapters),
                                      std::move(facts), std::move(options));
}

}  // namespace baozi::engine
