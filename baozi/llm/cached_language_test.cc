#include "baozi/llm/cached_language.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

#include "baozi/base/error.h"
#include "baozi/coro/nursery.h"
#include "baozi/coro/sleep.h"
#include "baozi/coro/sync_wait.h"
#include "baozi/coro/this_task.h"
#include "baozi/coro/thread_pool.h"
#include "baozi/llm/test_language.h"
#include "baozi/model/cache_record.h"

namespace baozi::llm {
namespace {

using namespace std::chrono_literals;

// Says "one two three", a word at a time; each waits at the gate.
class Speaker final : public LanguageServable {
 public:
  const std::string& name() const noexcept override { return name_; }
  const std::string& version() const noexcept override { return version_; }
  std::string_view platform() const noexcept override { return "test"; }
  const engine::Signature& signature() const noexcept override { return signature_; }
  const std::vector<std::string>& labels() const noexcept override { return labels_; }
  bool ready() const noexcept override { return true; }
  model::Statistics statistics() const override { return {}; }
  Task<model::InferResponse> infer(model::InferRequest) override {
    throw Error(Code::kInvalidArgument, "no tensors");
  }
  engine::LanguageModel& language() noexcept override { return model_; }
  std::unique_ptr<Completion> start(CompletionRequest request) override {
    if (request.prompt.empty()) throw Error(Code::kInvalidArgument, "an empty prompt");
    ++starts;
    return std::make_unique<Words>(*this, static_cast<int>(request.prompt.size()));
  }
  LanguageLoad load() const noexcept override { return {}; }
  int window() const noexcept override { return 100; }
  const std::vector<std::string>& adapters() const noexcept override { return labels_; }

  Event gate{true};
  std::atomic<int> starts{0};
  std::atomic<int> ended{0};  // before their end
  bool fails = false;         // behind the first word

 private:
  class Words final : public Completion {
   public:
    Words(Speaker& speaker, int prompt) : speaker_(speaker) { usage_.prompt_tokens = prompt; }
    ~Words() override { speaker_.ended += usage_.completion_tokens < 3 ? 1 : 0; }
    Task<CompletionPiece> next() override {
      co_await speaker_.gate.wait();
      if (speaker_.fails && usage_.completion_tokens == 1) throw Error(Code::kInternal, "broken");
      static constexpr const char* kWords[] = {"one ", "two ", "three"};
      CompletionPiece piece;
      piece.text = kWords[usage_.completion_tokens++];
      piece.chances.push_back({{usage_.completion_tokens, -0.5F}, {{7, -1.0F}}});
      if (usage_.completion_tokens == 3) piece.finish = Finish::kStop;
      co_return piece;
    }
    CompletionUsage usage() const noexcept override { return usage_; }

   private:
    Speaker& speaker_;
    CompletionUsage usage_;
  };

  const std::string name_ = "bao";
  const std::string version_ = "1";
  const std::vector<std::string> labels_;
  engine::Signature signature_;
  LanguageScript script_;
  ScriptedModel model_{script_};
};

CompletionRequest request_of(std::vector<engine::Token> prompt) {
  CompletionRequest request;
  request.prompt = std::move(prompt);
  request.sampling.temperature = 0;
  request.repeatable = true;
  return request;
}

Task<CachedAnswer> read(std::unique_ptr<Completion> completion) {
  CachedAnswer answer;
  while (!answer.whole.finish) {
    CompletionPiece piece = co_await completion->next();
    answer.whole.text += piece.text;
    for (TokenChances& each : piece.chances) answer.whole.chances.push_back(std::move(each));
    answer.whole.finish = piece.finish;
  }
  answer.usage = completion->usage();
  co_return answer;
}

class CachedLanguageTest : public testing::Test {
 protected:
  CachedLanguageTest() {
    cache_.announce("1", "digest");
    bao_ = std::make_shared<CachedLanguage>(speaker_, cache_);
  }
  ~CachedLanguageTest() override { sync_wait(caches_.join()); }

  CachedAnswer ask(CompletionRequest request) {
    return sync_wait(read(bao_->start(std::move(request))));
  }

  ThreadPool cpu_{2, "cpu"};
  model::ResponseCaches caches_{{.bytes_max = 1 << 20}, cpu_};
  model::ModelCache& cache_ = caches_.add("bao", {.ttl = 1h});
  std::shared_ptr<Speaker> speaker_ = std::make_shared<Speaker>();
  std::shared_ptr<CachedLanguage> bao_;
};

TEST_F(CachedLanguageTest, GivesAnAnswerAgainAsItWas) {
  const CachedAnswer first = ask(request_of({1, 2}));
  EXPECT_EQ(first.whole.text, "one two three");
  sync_wait(caches_.join());
  std::unique_ptr<Completion> again = bao_->start(request_of({1, 2}));
  EXPECT_TRUE(again->age());
  const CachedAnswer second = sync_wait(read(std::move(again)));
  EXPECT_EQ(second.whole.text, first.whole.text);
  EXPECT_EQ(second.whole.finish, Finish::kStop);
  ASSERT_EQ(second.whole.chances.size(), 3u);
  EXPECT_EQ(second.whole.chances[2].picked.token, 3);
  EXPECT_EQ(second.whole.chances[2].likeliest[0].token, 7);
  EXPECT_EQ(second.usage.prompt_tokens, 2);
  EXPECT_EQ(second.usage.completion_tokens, 3);
  EXPECT_EQ(speaker_->starts, 1);
}

TEST_F(CachedLanguageTest, OnlyWhatIsEqualAndRepeatable) {
  ask(request_of({1, 2}));
  sync_wait(caches_.join());
  CompletionRequest once = request_of({1, 2});
  once.repeatable = false;
  ask(once);
  CompletionRequest none = request_of({1, 2});
  none.cache = model::CacheWish::kNone;
  ask(none);
  EXPECT_EQ(speaker_->starts, 3);
  ask(request_of({1, 3}));
  CompletionRequest other = request_of({1, 2});
  other.tenant = "other";
  ask(other);
  other = request_of({1, 2});
  other.stops = {"two"};
  ask(other);
  EXPECT_EQ(speaker_->starts, 6);
  CompletionRequest refresh = request_of({1, 2});
  refresh.cache = model::CacheWish::kRefresh;
  EXPECT_EQ(ask(refresh).whole.text, "one two three");
  EXPECT_EQ(speaker_->starts, 7);
}

TEST_F(CachedLanguageTest, AtTemperatureZeroTheSeedDoesNotMatter) {
  CompletionRequest one = request_of({1});
  one.sampling.seed = 1;
  CompletionRequest two = request_of({1});
  two.sampling.seed = 2;
  const model::CacheKey scope{1, 1};
  EXPECT_EQ(answer_key(scope, one), answer_key(scope, two));
  one.sampling.temperature = two.sampling.temperature = 0.5F;
  EXPECT_NE(answer_key(scope, one), answer_key(scope, two));
}

TEST_F(CachedLanguageTest, AnErrorIsGivenAndNotKept) {
  speaker_->fails = true;
  EXPECT_THROW(ask(request_of({1})), Error);
  EXPECT_THROW(ask(request_of({})), Error);
  sync_wait(caches_.join());
  speaker_->fails = false;
  EXPECT_EQ(ask(request_of({1})).whole.text, "one two three");
  EXPECT_EQ(speaker_->starts, 2);
}

Task<void> read_into(std::unique_ptr<Completion> completion, std::atomic<int>* right) {
  const CachedAnswer answer = co_await read(std::move(completion));
  *right += answer.whole.text == "one two three" && answer.usage.completion_tokens == 3;
}

Task<void> many(CachedLanguage* bao, Speaker* speaker, Executor* cpu, std::atomic<int>* right) {
  const Context& context = co_await this_context();
  Nursery readers(context, *cpu);
  for (int i = 0; i < 100; ++i) readers.spawn(read_into(bao->start(request_of({1, 2})), right));
  speaker->gate.set();
  co_await readers.join();
}

TEST_F(CachedLanguageTest, ManyAtOnceReadOneAnswer) {
  speaker_->gate.reset();
  std::atomic<int> right{0};
  sync_wait(many(bao_.get(), speaker_.get(), &cpu_, &right));
  EXPECT_EQ(right, 100);
  EXPECT_EQ(speaker_->starts, 1);
}

Task<void> until_started(Speaker* speaker, int count) {
  while (speaker->starts < count) co_await sleep_for(1ms);
}

TEST_F(CachedLanguageTest, TheFirstMayLeaveAndTheLastEndsIt) {
  speaker_->gate.reset();
  std::unique_ptr<Completion> first = bao_->start(request_of({1}));
  std::unique_ptr<Completion> second = bao_->start(request_of({1}));
  sync_wait(until_started(speaker_.get(), 1));
  first.reset();
  speaker_->gate.set();
  EXPECT_EQ(sync_wait(read(std::move(second))).whole.text, "one two three");
  EXPECT_EQ(speaker_->ended, 0);
  speaker_->gate.reset();
  std::unique_ptr<Completion> only = bao_->start(request_of({2}));
  sync_wait(until_started(speaker_.get(), 2));
  only.reset();
  sync_wait(caches_.join());
  EXPECT_EQ(speaker_->ended, 1);
  speaker_->gate.set();
  EXPECT_EQ(ask(request_of({2})).whole.text, "one two three") << "it was not kept";
  EXPECT_EQ(speaker_->starts, 3);
}

TEST(CachedAnswer, SurvivesDamage) {
  CachedAnswer answer;
  answer.whole.text = "Steam.";
  answer.whole.finish = Finish::kLength;
  answer.whole.chances.push_back({{5, -0.25F}, {{6, -1.0F}, {7, -2.0F}}});
  answer.usage = {1, 2, 3, 4, 5};
  const Bytes room = encode_answer(answer, model::kRecordHeadBytes);
  const Bytes block = room.slice(model::kRecordHeadBytes, room.size() - model::kRecordHeadBytes);
  const std::optional<CachedAnswer> again = decode_answer(block);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->whole.text, "Steam.");
  EXPECT_EQ(again->whole.finish, Finish::kLength);
  EXPECT_EQ(again->whole.chances[0].likeliest[1].logprob, -2.0F);
  EXPECT_EQ(again->usage.guessed_tokens_right, 5);
  for (std::size_t size = 0; size < block.size(); ++size)
    EXPECT_FALSE(decode_answer(block.slice(0, size))) << size;
}

}  // namespace
}  // namespace baozi::llm
