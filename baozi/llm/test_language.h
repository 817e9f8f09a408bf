// A language model for tests: a token is a byte, and the answer is written in the test.
//
// Thread safety: none.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "baozi/base/error.h"
#include "baozi/engine/language.h"

namespace baozi::llm {

inline constexpr engine::Token kEndToken = 256;

struct LanguageScript {
  std::string answer = "ok";  // what follows any prompt that ends with a question mark
  int capacity = 1000;
  int steps_max = 512;
  int fail_decodes = 0;   // so many of the next ones, with kInternal
  int threads = 0;        // the latest use_threads()
  int fail_restores = 0;  // so many of the next ones
  int restores = 0;       // that were carried out
  float logprob = 0;      // of the answer's tokens
  bool keep_decodes = true;
  std::vector<std::size_t> decodes;   // sizes, in order
  std::vector<int> adapters;          // of each
  std::map<int, std::string> memory;  // by sequence: what is in the KV memory
};

class ScriptedContext final : public engine::LanguageContext {
 public:
  explicit ScriptedContext(LanguageScript& script) : script_(script) {}

  void decode(std::span<const engine::Step> steps, const StopToken& stop) override {
    throw_if_stopped(stop);
    if (script_.fail_decodes > 0) {
      --script_.fail_decodes;
      throw Error(Code::kInternal, "told to fail");
    }
    if (script_.keep_decodes) script_.decodes.push_back(steps.size());
    next_.assign(steps.size(), 0);
    for (const engine::Step& step : steps) {
      std::string& text = script_.memory[step.sequence];
      if (step.position != static_cast<int>(text.size()))
        throw Error(Code::kInvalidArgument, "a position is missing or taken");
      if (step.position >= script_.capacity) throw Error(Code::kResourceExhausted, "full");
      text += static_cast<char>(step.token);
      next_[static_cast<std::size_t>(&step - steps.data())] = next(text);
    }
  }
  std::span<const float> logits(std::size_t step) const override { return {&next_[step], 1}; }
  void forget(int sequence, int begin, int end) override {
    std::string& text = script_.memory[sequence];
    const auto from = std::min(text.size(), static_cast<std::size_t>(begin));
    text.erase(from, end < 0 ? std::string::npos : static_cast<std::size_t>(end) - from);
  }
  void share(int from, int to, int begin, int end) override {
    script_.memory[to].assign(script_.memory[from], static_cast<std::size_t>(begin),
                              static_cast<std::size_t>(end - begin));
  }
  // Where they begin, as two bytes, and the tokens.
  std::vector<std::byte> save(int sequence, int begin, int end) override {
    const std::string text = script_.memory[sequence].substr(static_cast<std::size_t>(begin),
                                                             static_cast<std::size_t>(end - begin));
    const auto bytes = std::as_bytes(std::span(text));
    std::vector<std::byte> saved{static_cast<std::byte>(begin >> 8), static_cast<std::byte>(begin)};
    saved.insert(saved.end(), bytes.begin(), bytes.end());
    return saved;
  }
  void restore(int sequence, int begin, int end, std::span<const std::byte> bytes) override {
    if (script_.fail_restores > 0) {
      --script_.fail_restores;
      throw Error(Code::kInvalidArgument, "told to fail");
    }
    const std::string_view saved(reinterpret_cast<const char*>(bytes.data()) + 2, bytes.size() - 2);
    const int first = (static_cast<int>(bytes[0]) << 8) + static_cast<int>(bytes[1]);
    std::string& text = script_.memory[sequence];
    if (begin != static_cast<int>(text.size()) || begin < first ||
        end > first + static_cast<int>(saved.size())) {
      throw Error(Code::kInvalidArgument, "what is restored does not follow what is there");
    }
    text += saved.substr(static_cast<std::size_t>(begin - first),
                         static_cast<std::size_t>(end - begin));
    ++script_.restores;
  }
  void use_adapter(int adapter) override { script_.adapters.push_back(adapter); }
  void use_threads(int threads) override { script_.threads = threads; }
  int threads_max() const noexcept override { return 2; }
  int capacity() const noexcept override { return script_.capacity; }
  int steps_max() const noexcept override { return script_.steps_max; }

 private:
  // The byte of the answer that follows what stands behind the last question mark.
  float next(const std::string& text) const {
    const std::size_t at = text.size() - (text.rfind('?') + 1);
    return at < script_.answer.size()
               ? static_cast<float>(static_cast<unsigned char>(script_.answer[at]))
               : static_cast<float>(kEndToken);
  }

  LanguageScript& script_;
  std::vector<float> next_;  // by step
};

class ScriptedModel final : public engine::LanguageModel {
 public:
  explicit ScriptedModel(LanguageScript& script) : script_(script) {}

  const engine::LanguageFacts& facts() const noexcept override { return facts_; }
  std::vector<engine::Token> tokenize(std::string_view text, bool, bool) const override {
    std::vector<engine::Token> tokens;
    for (const char byte : text) tokens.push_back(static_cast<unsigned char>(byte));
    return tokens;
  }
  std::string piece(engine::Token token, bool) const override {
    return std::string(1, static_cast<char>(token));
  }
  std::string chat_text(std::span<const engine::ChatMessage> messages, bool) const override {
    std::string text;
    for (const engine::ChatMessage& message : messages) text += message.content + "\n";
    if (!messages.empty() && messages.back().role == "user") text.back() = '?';
    return text;
  }
  // The messages' JSON as it is; the template of a model without tools.
  engine::ChatPrompt chat(const engine::ChatInput& input) const override {
    if (input.messages.empty()) throw Error(Code::kInvalidArgument, "'messages' is no valid JSON");
    engine::ChatPrompt prompt;
    prompt.text = input.messages + (input.answer ? "?" : "");
    prompt.grammar = input.grammar;
    return prompt;
  }
  engine::ChatReply read_reply(const engine::ChatPrompt&, std::string_view text,
                               bool) const override {
    return {std::string(text), "", {}};
  }
  std::string grammar_of_schema(std::string_view json_schema) const override {
    if (!json_schema.starts_with('{')) throw Error(Code::kInvalidArgument, "no valid JSON schema");
    return "root ::= [^\\x00]*";
  }
  bool ends(engine::Token token) const noexcept override { return token == kEndToken; }
  std::unique_ptr<engine::LanguageContext> create_context() override {
    return std::make_unique<ScriptedContext>(script_);
  }
  std::unique_ptr<engine::Sampler> create_sampler(const engine::Sampling&) const override {
    class First final : public engine::Sampler {
     public:
      explicit First(float logprob) : logprob_(logprob) {}

     private:
      engine::Token sample(std::span<const float> logits) override {
        return static_cast<engine::Token>(logits[0]);
      }
      void accept(engine::Token) override {}
      // Sure of what is in the script.
      engine::Chances chances(std::span<const float> logits, engine::Token picked,
                              int top) override {
        first_ = {static_cast<engine::Token>(logits[0]), 0};
        return {picked == first_.token ? logprob_ : -100.0F,
                {&first_, static_cast<std::size_t>(top > 0 ? 1 : 0)}};
      }
      const float logprob_;
      engine::TokenChance first_;
    };
    return std::make_unique<First>(script_.logprob);
  }

 private:
  LanguageScript& script_;
  engine::LanguageFacts facts_;
};

}  // namespace baozi::llm
