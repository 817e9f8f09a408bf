#include "baozi/engine/llama/llama_engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>

#include "baozi/base/error.h"
#include "baozi/engine/scratch_folder.h"
#include "baozi/engine/test_models.h"

namespace baozi::engine {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

fs::path smollm2() { return cache_folder() / "models" / "smollm2" / "1" / "model.gguf"; }

LlamaEngine& engine() {
  static LlamaEngine instance;
  return instance;
}

LanguageOptions small() { return {.context = 512, .sequences = 4, .batch = 256, .threads = 2}; }

// One for all tests that only read it.
LanguageModel& model() {
  static const std::shared_ptr<LanguageModel> loaded =
      engine().load_language(smollm2(), small(), {});
  return *loaded;
}

Error error_of(const auto& call) {
  try {
    call();
  } catch (const Error& error) {
    return error;
  }
  return Error(Code::kOk, "no error");
}

void put(LanguageContext& context, std::span<const Token> tokens, int position, int sequence) {
  std::vector<Step> steps;
  for (const Token token : tokens) steps.push_back({token, position++, sequence, false});
  steps.back().output = true;
  context.decode(steps, {});
}

// The text that follows `prompt`, which is in the context already and gave the last logits.
std::string go_on(LanguageContext& context, Sampler& sampler, int position, int sequence, int count,
                  std::size_t last_step) {
  std::string text;
  Token next = sampler.sample(context.logits(last_step));
  for (int i = 0; i < count && !model().ends(next); ++i) {
    text += model().piece(next, false);
    const Step step{next, position++, sequence, true};
    context.decode({&step, 1}, {});
    next = sampler.sample(context.logits(0));
  }
  return text;
}

std::string answer(const Sampling& sampling, std::string_view prompt = "The capital of France is",
                   int count = 12) {
  const auto context = model().create_context();
  const auto sampler = model().create_sampler(sampling);
  const std::vector<Token> tokens = model().tokenize(prompt, true, true);
  put(*context, tokens, 0, 0);
  return go_on(*context, *sampler, static_cast<int>(tokens.size()), 0, count, tokens.size() - 1);
}

TEST(LlamaEngine, SaysWhatItKnows) {
  EXPECT_EQ(engine().name(), "llama");
  EXPECT_FALSE(engine().version().empty());
  EXPECT_TRUE(engine().accepts("a/b.gguf"));
  EXPECT_FALSE(engine().accepts("b.onnx"));
  EXPECT_EQ(error_of([] { engine().load(smollm2(), {}, {}); }).code(), Code::kUnimplemented);
}

TEST(LlamaEngine, FactsOfTheFile) {
  const LanguageFacts& facts = model().facts();
  EXPECT_EQ(facts.architecture, "llama");
  EXPECT_EQ(facts.vocabulary, 49'152);
  EXPECT_EQ(facts.context_trained, 8'192);
  EXPECT_EQ(facts.embedding, 576);
  EXPECT_EQ(facts.layers, 30);
  EXPECT_NEAR(static_cast<double>(facts.parameters), 134.5e6, 1e6);
  EXPECT_THAT(facts.chat_template, HasSubstr("<|im_start|>"));
  EXPECT_NEAR(static_cast<double>(facts.memory.weights), 96e6, 3e6);
  EXPECT_EQ(facts.memory.kv, 30u * 3 * (64 + 64) * 512 * 2);  // layers, heads, numbers, tokens
  EXPECT_EQ(facts.metadata.at("general.architecture"), "llama");
}

TEST(LlamaEngine, TokensAndBack) {
  for (const std::string_view text :
       {"", "Hello, world!", "naïve café — 包子 🥟", "  spaces\n\tand tabs", "<|im_start|>"}) {
    const std::vector<Token> tokens = model().tokenize(text, false, false);
    std::string back;
    for (const Token token : tokens) back += model().piece(token, false);
    EXPECT_EQ(back, text);
  }
  EXPECT_EQ(model().tokenize("<|im_start|>", false, true).size(), 1u);
  EXPECT_GT(model().tokenize("<|im_start|>", false, false).size(), 1u);
  EXPECT_TRUE(model().ends(model().tokenize("<|im_end|>", false, true)[0]));
  EXPECT_EQ(model().piece(model().tokenize("<|im_end|>", false, true)[0], true), "<|im_end|>");
  EXPECT_EQ(error_of([] { model().piece(-1, true); }).code(), Code::kInvalidArgument);
  EXPECT_EQ(error_of([] { model().piece(1'000'000, true); }).code(), Code::kInvalidArgument);
}

TEST(LlamaEngine, AConversationAsText) {
  const std::vector<ChatMessage> messages{{"system", "Be brief."}, {"user", "Hi!"}};
  EXPECT_EQ(model().chat_text(messages, true),
            "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi!<|im_end|>\n"
            "<|im_start|>assistant\n");
  const std::vector<ChatMessage> long_one{{"user", std::string(100'000, 'x')}};
  EXPECT_GT(model().chat_text(long_one, false).size(), 100'000u);
}

TEST(LlamaEngine, TheMostLikelyAnswer) {
  EXPECT_THAT(answer({.temperature = 0}), HasSubstr("Paris"));
  EXPECT_EQ(answer({.temperature = 0}), answer({.temperature = 0}));
}

TEST(LlamaEngine, ASeedGivesTheSameText) {
  const Sampling sampling{.temperature = 1.5F, .seed = 7};
  const std::string first = answer(sampling, "Once upon a time");
  EXPECT_EQ(answer(sampling, "Once upon a time"), first);
  Sampling other = sampling;
  other.seed = 8;
  EXPECT_NE(answer(other, "Once upon a time"), first);
}

TEST(LlamaEngine, BiasAndGrammar) {
  const Token paris = model().tokenize(" Paris", false, false)[0];
  EXPECT_THAT(answer({.temperature = 0, .bias = {{paris, -100.0F}}}),
              Not(testing::StartsWith(" Paris")));
  const std::string digits = answer({.temperature = 0, .grammar = "root ::= [0-9]+"});
  EXPECT_FALSE(digits.empty());
  EXPECT_TRUE(std::ranges::all_of(digits, [](char c) { return c >= '0' && c <= '9'; })) << digits;
  EXPECT_EQ(answer({.grammar = "root ::= \"ba\" \"ozi\""}), "baozi");
}

TEST(LlamaEngine, SamplingThatMakesNoSense) {
  const auto code = [](Sampling sampling) {
    return error_of([&] { model().create_sampler(sampling); }).code();
  };
  EXPECT_EQ(code({.temperature = -1}), Code::kInvalidArgument);
  EXPECT_EQ(code({.temperature = NAN}), Code::kInvalidArgument);
  EXPECT_EQ(code({.top_k = -5}), Code::kInvalidArgument);
  EXPECT_EQ(code({.temperature = 101}), Code::kInvalidArgument);
  EXPECT_EQ(code({.top_p = 1.1F}), Code::kInvalidArgument);
  EXPECT_EQ(code({.top_p = 0}), Code::kInvalidArgument);
  EXPECT_EQ(code({.min_p = -0.1F}), Code::kInvalidArgument);
  EXPECT_EQ(code({.presence_penalty = 1e9F}), Code::kInvalidArgument);
  EXPECT_EQ(code({.frequency_penalty = NAN}), Code::kInvalidArgument);
  EXPECT_EQ(code({.repetition_penalty = 0}), Code::kInvalidArgument);
  EXPECT_EQ(code({.bias = {{-3, 1.0F}}}), Code::kInvalidArgument);
  EXPECT_EQ(code({.bias = {{3, INFINITY}}}), Code::kInvalidArgument);
  EXPECT_EQ(code({.grammar = "root ::= [a-z"}), Code::kInvalidArgument);
  EXPECT_EQ(code({.grammar = "no root here"}), Code::kInvalidArgument);
  EXPECT_EQ(code({.grammar = "root ::= " + std::string(100'000, '(')}), Code::kInvalidArgument);
  EXPECT_EQ(code({.grammar = "root ::= \"a\"", .grammar_prefix = "b"}), Code::kInvalidArgument);
  EXPECT_EQ(code({.grammar = "root ::= \"a\"", .grammar_triggers = {{""}}}),
            Code::kInvalidArgument);
  EXPECT_EQ(code({.grammar = "root ::= \"a\"", .grammar_triggers = {{"(", true}}}),
            Code::kInvalidArgument);
}

// As a template that has written the beginning of the answer.
TEST(LlamaEngine, AGrammarGoesOnFromItsPrefix) {
  EXPECT_EQ(answer({.grammar = R"(root ::= "<|im_start|>assistant\n" "baozi")",
                    .grammar_prefix = "<|im_start|>assistant\n"}),
            "baozi");
}

TEST(LlamaEngine, AGrammarThatWaitsBeginsWithItsTrigger) {
  const Sampling waiting{
      .temperature = 0,
      .grammar = R"(root ::= " Paris" " is " [0-9]+)",
      .grammar_triggers = {{" Paris"}},
  };
  EXPECT_THAT(answer(waiting), testing::ContainsRegex(" Paris is [0-9]+$"));
  Sampling by_pattern = waiting;
  by_pattern.grammar_triggers = {{"( Pa)ris", true}};
  EXPECT_EQ(answer(by_pattern), answer(waiting));
  Sampling never = waiting;
  never.grammar_triggers = {{"<tool_call>"}};
  EXPECT_EQ(answer(never), answer({.temperature = 0}));
  // The grammar has nothing for what the trigger was a part of: the answer goes on without it.
  Sampling other = waiting;
  other.grammar = R"(root ::= "Berlin")";
  EXPECT_EQ(answer(other), answer({.temperature = 0}));
}

TEST(LlamaEngine, ChancesOfTheModelItself) {
  const auto context = model().create_context();
  const std::vector<Token> tokens = model().tokenize("The capital of France is", true, true);
  put(*context, tokens, 0, 0);
  const std::span<const float> logits = context->logits(tokens.size() - 1);
  const Token paris = model().tokenize(" Paris", false, false)[0];
  // Neither temperature nor grammar change them.
  const auto sampler = model().create_sampler({.temperature = 5, .grammar = "root ::= [0-9]+"});
  const Chances chances = sampler->chances(logits, paris, 5);
  ASSERT_EQ(chances.top.size(), 5u);
  EXPECT_EQ(chances.top[0].token, paris);
  EXPECT_EQ(chances.logprob, chances.top[0].logprob);
  EXPECT_LT(chances.logprob, 0);
  EXPECT_GT(chances.logprob, std::log(0.1));
  EXPECT_EQ(error_of([&] { sampler->chances(logits, -1, 5); }).code(), Code::kInvalidArgument);
}

// A prefix that another sequence computed gives the same answer as one of its own.
TEST(LlamaContext, SequencesShareAPrefix) {
  const auto context = model().create_context();
  const std::vector<Token> prefix =
      model().tokenize("You are a geographer. You answer in one word. ", true, true);
  const std::vector<Token> question = model().tokenize("The capital of Japan is", false, true);
  const int length = static_cast<int>(prefix.size());
  put(*context, prefix, 0, 0);
  std::vector<std::string> answers;
  for (const int sequence : {1, 2}) {
    context->share(0, sequence, 0, length);
    put(*context, question, length, sequence);
    const auto sampler = model().create_sampler({.temperature = 0});
    answers.push_back(go_on(*context, *sampler, length + static_cast<int>(question.size()),
                            sequence, 8, question.size() - 1));
  }
  EXPECT_EQ(answers[0], answers[1]);
  EXPECT_THAT(answers[0], HasSubstr("Tokyo"));
}

TEST(LlamaContext, ASavedSequenceGoesOnInAnotherContext) {
  const std::vector<Token> tokens = model().tokenize("The capital of Japan is", true, true);
  const auto before = model().create_context();
  put(*before, std::span(tokens).first(tokens.size() - 1), 0, 3);
  const std::vector<std::byte> saved = before->save(3, 0, static_cast<int>(tokens.size()) - 1);
  EXPECT_GT(saved.size(), 1000u);

  const auto after = model().create_context();
  after->restore(1, 0, static_cast<int>(tokens.size()) - 1, saved);
  for (auto* each : {before.get(), after.get()}) {
    const int sequence = each == before.get() ? 3 : 1;
    put(*each, std::span(tokens).last(1), static_cast<int>(tokens.size()) - 1, sequence);
  }
  EXPECT_THAT(
      std::vector<float>(after->logits(0).begin(), after->logits(0).end()),
      testing::Pointwise(testing::FloatNear(1e-3F),
                         std::vector<float>(before->logits(0).begin(), before->logits(0).end())));
  std::vector<std::byte> damaged(saved.begin(), saved.begin() + 100);
  EXPECT_EQ(error_of([&] { after->restore(2, 0, 3, damaged); }).code(), Code::kInvalidArgument);
}

TEST(LlamaContext, PartsOfASequenceAreSavedAndRestored) {
  const std::vector<Token> tokens = model().tokenize("The capital of Japan is Tokyo", true, true);
  const auto size = static_cast<int>(tokens.size());
  ASSERT_GT(size, 4);
  const auto context = model().create_context();
  put(*context, tokens, 0, 0);
  const std::vector<std::byte> all = context->save(0, 0, size);
  const std::vector<std::byte> end = context->save(0, 3, size);
  EXPECT_LT(end.size(), all.size());
  context->restore(1, 0, 2, all);  // all is read, a part is kept
  context->restore(1, 2, 3, all);
  context->restore(1, 3, size, end);
  EXPECT_EQ(context->save(1, 0, size).size(), all.size()) << "each position once";
  const std::vector<Token> next = model().tokenize(",", false, false);
  std::vector<float> likely;
  for (const int sequence : {0, 1}) {
    put(*context, next, size, sequence);
    const std::span<const float> logits = context->logits(0);
    likely.push_back(*std::ranges::max_element(logits));
    likely.push_back(static_cast<float>(std::ranges::max_element(logits) - logits.begin()));
  }
  // The sums are made in the order of the cells, which is another one now.
  EXPECT_NEAR(likely[0], likely[2], 0.5F);
  EXPECT_EQ(likely[1], likely[3]);
}

TEST(LlamaContext, AFullMemoryIsToldAndCanBeUsedAgain) {
  const auto context = model().create_context();
  const std::vector<Token> words(200, model().tokenize("a", false, false)[0]);
  ASSERT_EQ(context->capacity(), 512);
  put(*context, words, 0, 0);
  put(*context, words, 0, 1);
  EXPECT_EQ(error_of([&] { put(*context, words, 0, 2); }).code(), Code::kResourceExhausted);
  context->forget(0, 0, -1);
  put(*context, words, 0, 2);
  EXPECT_EQ(context->logits(199).size(), 49'152u);
  EXPECT_EQ(error_of([&] { (void)context->logits(3); }).code(), Code::kInvalidArgument);
}

TEST(LlamaContext, StepsThatMakeNoSense) {
  const auto context = model().create_context();
  const auto code = [&](Step step) {
    return error_of([&] { context->decode({&step, 1}, {}); }).code();
  };
  EXPECT_EQ(code({.token = -1}), Code::kInvalidArgument);
  EXPECT_EQ(code({.token = 50'000}), Code::kInvalidArgument);
  EXPECT_EQ(code({.position = -1}), Code::kInvalidArgument);
  EXPECT_EQ(code({.sequence = 4}), Code::kInvalidArgument);
  EXPECT_EQ(error_of([&] { context->decode({}, {}); }).code(), Code::kInvalidArgument);
  EXPECT_EQ(context->steps_max(), 256);
  const std::vector<Step> many(257);
  EXPECT_EQ(error_of([&] { context->decode(many, {}); }).code(), Code::kInvalidArgument);
}

// libllama takes no batch that is larger than the context, and rounds that up.
TEST(LlamaContext, ASmallContextTakesSmallBatches) {
  LanguageOptions options = small();
  options.context = 100;
  options.batch = 512;
  const auto loaded = engine().load_language(smollm2(), options, {});
  const auto context = loaded->create_context();
  EXPECT_EQ(context->capacity(), 256);
  std::vector<Step> steps;
  for (int i = 0; i < context->steps_max(); ++i) steps.push_back({5, i, 0, true});
  context->decode(steps, {});
  steps.push_back({5, context->steps_max(), 0, true});
  EXPECT_EQ(error_of([&] { context->decode(steps, {}); }).code(), Code::kInvalidArgument);
}

TEST(LlamaContext, AStopEndsADecodeAndLeavesNothing) {
  const auto context = model().create_context();
  StopSource stop;
  stop.request_stop();
  std::vector<Step> steps;
  for (int i = 0; i < 200; ++i) steps.push_back({5, i, 0, i == 199});
  EXPECT_EQ(error_of([&] { context->decode(steps, stop.token()); }).code(), Code::kCancelled);
  context->decode(steps, {});  // positions from 0 are free
}

TEST(LlamaEngine, AModelThatDoesNotFitIsRefusedWithTheNumbers) {
  LanguageOptions options = small();
  options.memory_bytes_max = 10'000'000;
  const Error none = error_of([&] { engine().load_language(smollm2(), options, {}); });
  EXPECT_EQ(none.code(), Code::kResourceExhausted);
  EXPECT_THAT(none.message(), HasSubstr("its weights alone do not fit"));
  options.context = 8192;
  options.memory_bytes_max = 200'000'000;
  const Error some = error_of([&] { engine().load_language(smollm2(), options, {}); });
  EXPECT_EQ(some.code(), Code::kResourceExhausted);
  EXPECT_THAT(some.message(), HasSubstr("would fit"));
}

TEST(LlamaEngine, LoadingTellsHowFarItIsAndCanBeCancelled) {
  std::vector<float> shares;
  LanguageOptions options = small();
  options.map = false;
  options.progress = [&](float share) { shares.push_back(share); };
  engine().load_language(smollm2(), options, {});
  ASSERT_GT(shares.size(), 2u);
  EXPECT_TRUE(std::ranges::is_sorted(shares));
  StopSource stop;
  options.progress = [&](float) { stop.request_stop(); };
  EXPECT_EQ(error_of([&] { engine().load_language(smollm2(), options, stop.token()); }).code(),
            Code::kCancelled);
}

TEST(LlamaEngine, FilesThatAreNoModels) {
  const ScratchFolder folder;
  const auto error = [&](const std::string& name) {
    return error_of([&] { engine().load_language(folder.path() / name, small(), {}); });
  };
  EXPECT_EQ(error("nowhere.gguf").code(), Code::kNotFound);
  const auto write = [&](const std::string& name, const std::string& bytes) {
    std::ofstream(folder.path() / name, std::ios::binary) << bytes;
  };
  std::ifstream stream(smollm2(), std::ios::binary);
  std::string head(4 << 20, '\0');
  stream.read(head.data(), static_cast<std::streamsize>(head.size()));
  write("cut.gguf", head);
  EXPECT_THAT(error("cut.gguf").message(), HasSubstr("cut off"));
  write("head.gguf", head.substr(0, 1000));
  write("empty.gguf", "");
  write("text.gguf", "This is no model.");
  std::string wrong_version = head;
  wrong_version[4] = 99;
  write("version.gguf", wrong_version);
  std::string huge_count = head;
  for (std::size_t i = 8; i < 16; ++i) huge_count[i] = '\x7f';
  write("huge.gguf", huge_count);
  for (const char* name :
       {"cut.gguf", "head.gguf", "empty.gguf", "text.gguf", "version.gguf", "huge.gguf"}) {
    EXPECT_EQ(error(name).code(), Code::kInvalidArgument) << name;
    EXPECT_GT(error(name).message().size(), folder.path().string().size() + 30) << name;
  }
}

// Weights and vocabulary are loaded side by side; the model is what both give.
TEST(LlamaEngine, AVocabularyThatCannotBeReadIsRefused) {
  const ScratchFolder folder;
  const fs::path file = folder.path() / "words.gguf";
  fs::copy_file(smollm2(), file);
  {
    std::fstream stream(file, std::ios::binary | std::ios::in | std::ios::out);
    std::string head(1 << 16, '\0');
    stream.read(head.data(), static_cast<std::streamsize>(head.size()));
    const std::size_t key = head.find("tokenizer.ggml.model");
    const std::size_t value = head.find("gpt2", key);
    ASSERT_LT(value - key, 40u);
    stream.seekp(static_cast<std::streamoff>(value)).write("hpt2", 4);
  }
  const Error error =
      error_of([&] { engine().load_language(file, small(), {})->create_context(); });
  EXPECT_EQ(error.code(), Code::kInvalidArgument);
  EXPECT_THAT(error.message(), HasSubstr("words.gguf"));
  EXPECT_THAT(error.message(), HasSubstr("hpt2"));
}

}  // namespace
}  // namespace baozi::engine
