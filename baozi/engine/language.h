// The contract for language models: tokens in, a distribution over the next token out, with the
// keys and values of attention (KV) of many sequences in one memory that is set up once.
//
//   Engine ──load_language──▶ shared_ptr<LanguageModel> ──create_context──▶ LanguageContext
//                                                       └─create_sampler──▶ Sampler
//
//   auto model = engine_for(file).load_language(file, {}, stop);
//   auto context = model->create_context();
//   auto sampler = model->create_sampler({.temperature = 0});
//   std::vector<Step> steps = …;                           // the prompt, the last one with output
//   context->decode(steps, stop);
//   Token next = sampler->sample(context->logits(steps.size() - 1));
//
// All calls block and belong on a lane. Thread safety: a LanguageModel from any thread; a context
// and a sampler by one thread at a time.
// Errors: baozi::Error.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "baozi/coro/stop.h"
#include "baozi/engine/chat_format.h"
#include "baozi/engine/token_chances.h"

namespace baozi::engine {

// How keys and values are kept: 16 bits a number, or quantised to about 8.5 or 4.5.
enum class KvType : std::uint8_t { kF16, kQ8, kQ4 };

// A LoRA: what a model learnt for one purpose, in a file of its own.
struct LanguageAdapter {
  std::filesystem::path file;
  float scale = 1;
};

struct LanguageOptions {
  int context = 0;  // tokens of KV memory, of all sequences together; 0: what the model was trained
                    // for, at most 4096
  int sequences = 8;  // that may be in the memory at once
  int batch = 512;    // steps of one decode at most
  int threads = 0;    // 0: one a core
  KvType kv = KvType::kF16;
  bool map = true;                   // map the file instead of reading it
  bool lock = false;                 // keep the weights from being swapped out
  std::size_t memory_bytes_max = 0;  // refuse to load above the estimate; 0: no limit
  std::string chat_template = {};    // Jinja, instead of the file's; empty: the file's
  std::vector<LanguageAdapter> adapters = {};
  // Called while loading with the share that is there, in [0, 1].
  std::function<void(float)> progress = {};
};

// Estimated resident bytes, known before anything is allocated.
struct LanguageMemory {
  std::size_t weights = 0;
  std::size_t kv = 0;
  std::size_t compute = 0;
  std::size_t total() const noexcept { return weights + kv + compute; }
};

struct LanguageFacts {
  std::string architecture;  // "llama"
  std::string description;   // "llama 135M Q4_1"
  std::int64_t parameters = 0;
  int vocabulary = 0;       // tokens
  int context_trained = 0;  // tokens
  int embedding = 0;        // numbers
  int layers = 0;
  std::string chat_template;  // Jinja; empty: none
  LanguageMemory memory;
  std::map<std::string, std::string> metadata;  // of the file, as text
};

// What to compute: the token at a position of a sequence, which sees those before it.
struct Step {
  Token token = 0;
  int position = 0;
  int sequence = 0;     // in [0, LanguageOptions::sequences)
  bool output = false;  // whether logits() is wanted
};

struct Sampling {
  float temperature = 0.8F;  // 0: always the most likely token, and nothing below matters but bias
                             // and grammar
  int top_k = 40;            // 0: all
  float top_p = 0.95F;
  float min_p = 0.05F;
  int penalty_window = 64;  // the last tokens that penalties look at
  float repetition_penalty = 1;
  float presence_penalty = 0;
  float frequency_penalty = 0;
  std::uint32_t seed = 0;
  std::vector<std::pair<Token, float>> bias = {};  // added to the logits
  std::string grammar = {};                        // GBNF; empty: none
  // Text that the grammar has read when the answer begins: what the template wrote of it.
  std::string grammar_prefix = {};
  // The grammar waits for one of them; empty: it begins with the answer.
  std::vector<GrammarTrigger> grammar_triggers = {};
};

struct ChatMessage {
  std::string role;  // "system", "user", "assistant"
  std::string content;
};

class Sampler {
 public:
  virtual ~Sampler() = default;

  // Picks from `logits` (one number a token of the vocabulary) and takes note of what it picked.
  virtual Token sample(std::span<const float> logits) = 0;
  // Takes note of a token that was there before: a prompt's, for the penalties.
  virtual void accept(Token token) = 0;
  // How likely the model itself took `picked` to be, before bias, temperature, penalties and
  // grammar, and the `top` most likely tokens; until the next call. Errors: kInvalidArgument (no
  // such token).
  virtual Chances chances(std::span<const float> logits, Token picked, int top) = 0;
};

class LanguageContext {
 public:
  virtual ~LanguageContext() = default;

  // Computes the steps and puts their keys and values into the memory. Errors: kResourceExhausted
  // (the memory has no room for them: forget something), kInvalidArgument, kCancelled and
  // kDeadlineExceeded when `stop` asks for it. After an error the memory holds none of the steps.
  virtual void decode(std::span<const Step> steps, const StopToken& stop) = 0;
  // Of the last decode, by the index of a step with output; until the next decode.
  virtual std::span<const float> logits(std::size_t step) const = 0;

  // Drops the positions [begin, end) of a sequence; end -1: all that follow.
  virtual void forget(int sequence, int begin, int end) = 0;
  // Lets `to` see the positions [begin, end) of `from`, without a copy.
  virtual void share(int from, int to, int begin, int end) = 0;
  // The positions [begin, end) of a sequence as bytes, for this model, KV type and engine version
  // only.
  virtual std::vector<std::byte> save(int sequence, int begin, int end) = 0;
  // Gives a sequence the positions [begin, end) of such bytes. While it runs all that the bytes
  // hold takes room. Errors: kInvalidArgument (not such bytes, or there is no room); the sequence
  // is as it was.
  virtual void restore(int sequence, int begin, int end, std::span<const std::byte> bytes) = 0;

  // The next decodes use this one of LanguageOptions::adapters, counted from 1; 0: none. What was
  // computed with another one in a sequence stays as it is.
  virtual void use_adapter(int adapter) = 0;
  // How many threads the next decodes use, in [1, threads_max()].
  virtual void use_threads(int threads) = 0;
  virtual int threads_max() const noexcept = 0;  // at first all of them are used

  virtual int capacity() const noexcept = 0;   // tokens of KV memory
  virtual int steps_max() const noexcept = 0;  // of one decode
};

class LanguageModel {
 public:
  virtual ~LanguageModel() = default;

  virtual const LanguageFacts& facts() const noexcept = 0;
  // `special`: text such as "<|im_start|>" stands for the special token, not for its letters.
  // `begin`: the token that begins a text goes first, if the model has one.
  virtual std::vector<Token> tokenize(std::string_view text, bool begin, bool special) const = 0;
  // The bytes a token stands for: maybe a part of a UTF-8 character only. Special tokens are empty
  // unless `special`.
  virtual std::string piece(Token token, bool special) const = 0;
  // A plain conversation as one text for the model, quickly; `answer`: the assistant's turn begins
  // at its end. Errors: as chat.
  virtual std::string chat_text(std::span<const ChatMessage> messages, bool answer) const = 0;
  // The conversation by the model's chat template. Errors: kInvalidArgument (messages, tools or a
  // schema that make no sense, or that the template refuses; says why), kFailedPrecondition (there
  // is no template, or it cannot be used).
  virtual ChatPrompt chat(const ChatInput& input) const = 0;
  // What the answer `text` to `prompt` says. `whole`: it is complete; an answer that does not keep
  // to its format is content then. Otherwise: what is sure so far, which goes on to grow, unless
  // the answer leaves its format. Never fails for what `text` says.
  virtual ChatReply read_reply(const ChatPrompt& prompt, std::string_view text,
                               bool whole) const = 0;
  // GBNF of what follows a JSON schema. Errors: kInvalidArgument, kFailedPrecondition (this build
  // cannot).
  virtual std::string grammar_of_schema(std::string_view json_schema) const = 0;
  // Whether the token ends an answer.
  virtual bool ends(Token token) const noexcept = 0;

  // The model is whole when it returns: what an engine still loads, and what is wrong with that, is
  // waited for here. Errors: kResourceExhausted, kInvalidArgument.
  virtual std::unique_ptr<LanguageContext> create_context() = 0;
  // Errors: kInvalidArgument (numbers out of range, a grammar that does not parse).
  virtual std::unique_ptr<Sampler> create_sampler(const Sampling& sampling) const = 0;
};

}  // namespace baozi::engine
