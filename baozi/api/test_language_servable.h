// A language model for tests of the API: it says what the test wrote, a word at a time.
//
//   auto model = std::make_shared<FakeLanguage>("bao");
//   model->answer = "Steam them.";
//   repository.add(model);
//
// Thread safety: none.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "baozi/base/error.h"
#include "baozi/coro/sleep.h"
#include "baozi/llm/language_servable.h"
#include "baozi/llm/test_language.h"

namespace baozi::api {

// A token is a byte. With tools, an answer "call NAME ARGUMENTS" is a call.
class FakeModel final : public engine::LanguageModel {
 public:
  FakeModel() {
    facts_.vocabulary = 257;
    facts_.context_trained = 64;
    facts_.parameters = 1000;
    facts_.embedding = 8;
    facts_.memory.weights = 4000;
  }

  void set_template(std::string text) { facts_.chat_template = std::move(text); }

  const engine::LanguageFacts& facts() const noexcept override { return facts_; }
  std::vector<engine::Token> tokenize(std::string_view text, bool begin,
                                      bool special) const override {
    return bytes_.tokenize(text, begin, special);
  }
  std::string piece(engine::Token token, bool special) const override {
    return bytes_.piece(token, special);
  }
  std::string chat_text(std::span<const engine::ChatMessage> messages, bool answer) const override {
    return bytes_.chat_text(messages, answer);
  }
  engine::ChatPrompt chat(const engine::ChatInput& input) const override {
    inputs.push_back(input);
    if (input.messages == "[]") throw Error(Code::kInvalidArgument, "there are no messages");
    engine::ChatPrompt prompt;
    prompt.text = input.messages;
    prompt.grammar = input.schema.empty() ? input.grammar : "root ::= object";
    if (!input.tools.empty()) prompt.format = std::make_shared<engine::ReplyFormat>();
    return prompt;
  }
  engine::ChatReply read_reply(const engine::ChatPrompt&, std::string_view text,
                               bool whole) const override {
    constexpr std::string_view kCall = "call ";
    if (!text.starts_with(kCall)) {
      if (!whole && kCall.starts_with(text)) return {};
      return {std::string(text), "", {}};
    }
    text.remove_prefix(kCall.size());
    const std::size_t space = text.find(' ');
    if (space == std::string_view::npos) return {};
    return {
        "", "", {{"", std::string(text.substr(0, space)), std::string(text.substr(space + 1))}}};
  }
  std::string grammar_of_schema(std::string_view) const override { return "root ::= schema"; }
  bool ends(engine::Token token) const noexcept override { return bytes_.ends(token); }
  std::unique_ptr<engine::LanguageContext> create_context() override {
    return bytes_.create_context();
  }
  std::unique_ptr<engine::Sampler> create_sampler(const engine::Sampling& sampling) const override {
    return bytes_.create_sampler(sampling);
  }

  mutable std::vector<engine::ChatInput> inputs;  // of chat()

 private:
  llm::LanguageScript script_;
  llm::ScriptedModel bytes_{script_};
  engine::LanguageFacts facts_;
};

// The words of `answer`, one a token; of its bytes the chances.
class FakeCompletion final : public llm::Completion {
 public:
  FakeCompletion(std::string answer, const llm::CompletionRequest& request, Duration delay,
                 std::optional<Error> error)
      : delay_(delay), error_(std::move(error)), chances_(request.chances) {
    usage_.prompt_tokens = static_cast<int>(request.prompt.size());
    usage_.cached_tokens = 1;
    for (const std::string& stop : request.stops) {
      const std::size_t at = answer.find(stop);
      if (at == std::string::npos) continue;
      answer.resize(at);
      finish_ = llm::Finish::kStop;
    }
    while (!answer.empty()) {
      const std::size_t end = std::min(answer.find(' ', 1), answer.size());
      words_.push_back(answer.substr(0, end));
      answer.erase(0, end);
    }
    const auto tokens_max = static_cast<std::size_t>(std::max(request.max_tokens, 0));
    if (request.max_tokens < 0 || words_.size() <= tokens_max) return;
    words_.resize(tokens_max);
    finish_ = llm::Finish::kLength;
  }

  Task<llm::CompletionPiece> next() override {
    if (delay_ > Duration{}) co_await sleep_for(delay_);
    if (error_ && usage_.completion_tokens > 0) throw *error_;
    llm::CompletionPiece piece;
    const auto at = static_cast<std::size_t>(usage_.completion_tokens);
    if (at < words_.size()) {
      piece.text = words_[at];
      const auto token = static_cast<engine::Token>(piece.text.back());
      if (chances_ >= 0) {
        piece.chances.push_back({{token, -0.5F}, {}});
        for (int i = 0; i < chances_; ++i)
          piece.chances.back().likeliest.push_back({token + i, -0.5F - static_cast<float>(i)});
      }
      ++usage_.completion_tokens;
    }
    if (at + 1 >= words_.size()) piece.finish = finish_;
    co_return piece;
  }
  llm::CompletionUsage usage() const noexcept override { return usage_; }

 private:
  const Duration delay_;
  const std::optional<Error> error_;
  const int chances_;
  std::vector<std::string> words_;
  llm::Finish finish_ = llm::Finish::kEnd;
  llm::CompletionUsage usage_;
};

class FakeLanguage final : public llm::LanguageServable {
 public:
  explicit FakeLanguage(std::string name) : name_(std::move(name)) {}

  const std::string& name() const noexcept override { return name_; }
  const std::string& version() const noexcept override { return version_; }
  std::string_view platform() const noexcept override { return "test_language"; }
  const engine::Signature& signature() const noexcept override { return signature_; }
  const std::vector<std::string>& labels() const noexcept override { return labels_; }
  bool ready() const noexcept override { return true; }
  model::Statistics statistics() const override { return {}; }
  Task<model::InferResponse> infer(model::InferRequest) override {
    throw Error(Code::kInvalidArgument, "a language model is asked by /v1/chat/completions");
  }

  FakeModel& language() noexcept override { return model; }
  std::unique_ptr<llm::Completion> start(llm::CompletionRequest request) override {
    if (full) throw Error(Code::kResourceExhausted, "the queue is full");
    requests.push_back(request);
    // Answers after the first differ, in their words and their pace.
    std::string text = answer;
    const std::size_t index = requests.size() - 1;
    if (numbered) text += ' ' + std::to_string(index);
    return std::make_unique<FakeCompletion>(text, request, delay * (index + 1), error);
  }
  llm::LanguageLoad load() const noexcept override { return {2, 3, 4, 50, 30, 60, 9, 7}; }
  int window() const noexcept override { return 1000; }
  const std::vector<std::string>& adapters() const noexcept override { return adapter_names; }

  FakeModel model;
  std::vector<std::string> adapter_names;
  std::string answer = "Steam them.";
  bool numbered = false;
  bool full = false;
  Duration delay{};            // before each piece
  std::optional<Error> error;  // behind the first
  std::vector<llm::CompletionRequest> requests;

 private:
  const std::string name_;
  const std::string version_ = "1";
  const std::vector<std::string> labels_;
  engine::Signature signature_;
};

}  // namespace baozi::api
