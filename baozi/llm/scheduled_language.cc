#include "baozi/llm/scheduled_language.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <optional>
#include <thread>
#include <utility>

#include "baozi/base/error.h"
#include "baozi/base/log.h"
#include "baozi/coro/event.h"
#include "baozi/llm/answer_text.h"
#include "baozi/llm/prompt_lookup.h"

namespace baozi::llm {

using engine::Token;

// Between the lane, which writes the answer, and the task that reads it.
struct ScheduledLanguage::Request {
  CompletionRequest asked;
  std::unique_ptr<engine::Sampler> sampler;
  int max_tokens = 0;  // of the answer

  // The lane's.
  AnswerText text;
  int position = 0;        // tokens of the window that are taken
  std::vector<Token> all;  // for kShift only: what the window holds
  std::optional<PromptLookup> lookup;
  int right = 0;  // tokens of the latest guess that were sampled since

  std::atomic<bool> wanted{true};
  std::atomic<int> cached{0};
  std::atomic<int> tokens{0};  // of the answer so far
  std::atomic<int> guessed{0};
  std::atomic<int> guessed_right{0};

  Event news;
  std::mutex mutex;
  CompletionPiece piece;       // guarded by mutex: what was not read yet
  std::optional<Error> error;  // guarded by mutex

  void finish(const Error& why) {
    {
      const std::lock_guard lock(mutex);
      error = why;
    }
    news.set();
  }
};

class ScheduledLanguage::Answer final : public Completion {
 public:
  Answer(std::shared_ptr<Request> request, std::shared_ptr<ScheduledLanguage> owner)
      : request_(std::move(request)), owner_(std::move(owner)) {}
  ~Answer() override { request_->wanted.store(false, std::memory_order_relaxed); }

  Task<CompletionPiece> next() override { return next(request_); }

  CompletionUsage usage() const noexcept override {
    return {static_cast<int>(request_->asked.prompt.size()),
            request_->cached.load(std::memory_order_relaxed),
            request_->tokens.load(std::memory_order_relaxed),
            request_->guessed.load(std::memory_order_relaxed),
            request_->guessed_right.load(std::memory_order_relaxed)};
  }

 private:
  static Task<CompletionPiece> next(std::shared_ptr<Request> request) {
    CompletionPiece piece;
    while (piece.text.empty() && piece.chances.empty() && !piece.finish) {
      co_await request->news.wait();
      take(*request, piece);
    }
    co_return piece;
  }

  static void take(Request& request, CompletionPiece& piece) {
    const std::lock_guard lock(request.mutex);
    request.news.reset();
    if (request.error) throw Error(*request.error);
    std::swap(piece, request.piece);
  }

  const std::shared_ptr<Request> request_;
  const std::shared_ptr<ScheduledLanguage> owner_;  // null where nobody shares it
};

namespace {

// A request that is prepared longer than this is not waited for.
constexpr Duration kGather = std::chrono::milliseconds(50);
constexpr Duration kGatherLook = std::chrono::microseconds(100);

// A prompt that is too long loses what is behind its first quarter of the window, until half the
// window is free.
void truncate(std::vector<Token>& tokens, int window) {
  const auto size = static_cast<std::ptrdiff_t>(tokens.size());
  const std::ptrdiff_t keep = std::max(window / 2, 1);
  const std::ptrdiff_t head = window / 4;
  if (size <= keep) return;
  tokens.erase(tokens.begin() + head, tokens.end() - (keep - head));
}

TokenChances chances_of(const engine::Chances& from, Token picked) {
  return {{picked, from.logprob}, {from.top.begin(), from.top.end()}};
}

// How many tokens' keys and values take so many bytes.
int tokens_in(std::size_t bytes, const engine::LanguageModel& model,
              const engine::LanguageContext& context) {
  const auto capacity = static_cast<std::size_t>(context.capacity());
  const std::size_t each = std::max<std::size_t>(model.facts().memory.kv / capacity, 1);
  return static_cast<int>(std::min<std::size_t>(bytes / each, std::numeric_limits<int>::max()));
}

SchedulerOptions scheduler_options(const ScheduledLanguageOptions& options,
                                   const engine::LanguageModel& model,
                                   const engine::LanguageContext& context) {
  if (options.running_max < 1 || options.sequences < options.running_max) {
    throw Error(Code::kInvalidArgument,
                fmt::format("at least one answer at once, and at most one a sequence: not {} of {}",
                            options.running_max, options.sequences));
  }
  if (context.steps_max() < options.running_max) {
    throw Error(Code::kInvalidArgument,
                fmt::format("{} answers at once need a batch of as many tokens at least, not {}",
                            options.running_max, context.steps_max()));
  }
  return {.cells = context.capacity(),
          .sequences = options.sequences,
          .running_max = options.running_max,
          .steps_max = context.steps_max(),
          .offload_max = tokens_in(options.offload_bytes_max, model, context)};
}

}  // namespace

ScheduledLanguage::ScheduledLanguage(std::shared_ptr<engine::LanguageModel> model,
                                     ScheduledLanguageOptions options,
                                     std::optional<PrefixStore> prefixes)
    : model_(std::move(model)),
      options_(std::move(options)),
      context_(model_->create_context()),
      window_(options_.window > 0 ? std::min(options_.window, context_->capacity())
                                  : context_->capacity()),
      scheduler_(scheduler_options(options_, *model_, *context_)),
      memory_(*context_, options_.sequences),
      pace_(options_.stall),
      threads_(context_->threads_max()),
      lane_(options_.name.empty() ? "llm" : options_.name) {
  loop_.run = [](Work* work) noexcept { static_cast<Loop*>(work)->owner.turn(); };
  if (!prefixes) return;
  saver_ = std::make_unique<PrefixSaver>(std::move(*prefixes), memory_, scheduler_);
  wake();  // to restore
}

ScheduledLanguage::~ScheduledLanguage() {
  stop_.request_stop(Code::kUnavailable);
  wake();
}

std::unique_ptr<Completion> ScheduledLanguage::start(CompletionRequest asked) {
  if (asked.prompt.empty()) throw Error(Code::kInvalidArgument, "the prompt is empty");
  const bool too_long = asked.prompt.size() >= static_cast<std::size_t>(window_);
  if (too_long && asked.overflow == Overflow::kRefuse) {
    throw Error(Code::kInvalidArgument,
                fmt::format("the prompt has {} tokens, but the context holds {}, the answer "
                            "included; shorten it, or ask for overflow \"truncate\"",
                            asked.prompt.size(), window_));
  }
  if (refusal()) {
    throw Error(Code::kResourceExhausted,
                fmt::format("{} requests wait already; try again later", options_.queue_max));
  }
  if (asked.adapter < 0 || static_cast<std::size_t>(asked.adapter) > options_.adapters.size())
    throw Error(Code::kInvalidArgument, fmt::format("there is no adapter {}", asked.adapter));
  if (too_long) truncate(asked.prompt, window_);
  auto request = std::make_shared<Request>();
  request->sampler = model_->create_sampler(asked.sampling);
  const auto seen = std::min(asked.prompt.size(),
                             static_cast<std::size_t>(std::max(64, asked.sampling.penalty_window)));
  for (const Token token : std::span(asked.prompt).last(seen)) request->sampler->accept(token);
  request->text = AnswerText(asked.stops);
  request->max_tokens =
      asked.max_tokens < 0 ? std::numeric_limits<int>::max() : std::max(asked.max_tokens, 1);
  request->asked = std::move(asked);
  {
    const std::lock_guard lock(mutex_);
    arrivals_.push_back(request);
    waiting_.fetch_add(1, std::memory_order_relaxed);
  }
  wake();
  return std::make_unique<Answer>(std::move(request), weak_from_this().lock());
}

std::optional<model::Refusal> ScheduledLanguage::refusal() const noexcept {
  if (static_cast<std::size_t>(waiting_.load(std::memory_order_relaxed)) < options_.queue_max)
    return std::nullopt;
  return model::Refusal{"the model's queue is full", 1};
}

Task<model::InferResponse> ScheduledLanguage::infer(model::InferRequest) {
  throw Error(Code::kInvalidArgument,
              fmt::format("{} is a language model: ask it at /v1/chat/completions or "
                          "/v1/completions",
                          options_.name));
}

LanguageLoad ScheduledLanguage::load() const noexcept {
  return {.waiting = waiting_.load(std::memory_order_relaxed),
          .running = running_.load(std::memory_order_relaxed),
          .running_max = options_.running_max,
          .tokens = tokens_.load(std::memory_order_relaxed),
          .tokens_in_use = tokens_in_use_.load(std::memory_order_relaxed),
          .tokens_max = context_->capacity(),
          .guessed = guessed_.load(std::memory_order_relaxed),
          .guessed_right = guessed_right_.load(std::memory_order_relaxed)};
}

// ---- The lane

void ScheduledLanguage::wake() noexcept {
  if (!posted_.exchange(true, std::memory_order_acq_rel)) lane_.post(loop_);
}

void ScheduledLanguage::turn() noexcept {
  bool more = false;
  try {
    more = step();
  } catch (const Error& error) {
    fail_all(error);
    more = true;
  } catch (const std::exception& error) {
    fail_all(Error(Code::kInternal, error.what()));
    more = true;
  }
  publish();
  if (more) {
    lane_.post_yield(loop_);
    return;
  }
  posted_.store(false, std::memory_order_seq_cst);
  // Who came after the look and before the store has not woken anybody.
  const std::lock_guard lock(mutex_);
  if (!arrivals_.empty()) wake();
}

// Whether there may be more to do.
bool ScheduledLanguage::step() {
  if (saver_ && !std::exchange(restored_, true)) saver_->restore();
  if (scheduler_.idle()) gather();
  take_in();
  drop_unwanted();
  if (stop_.token().stop_requested()) {
    fail_all(Error(Code::kUnavailable, "the model is being unloaded"));
    return false;
  }
  const Plan& plan = scheduler_.next({.prompt_tokens = pace_.prompt_tokens()});
  if (!carry_out(plan)) return true;
  if (plan.steps.empty()) return !scheduler_.idle();
  const Time begin = Clock::now();
  const Duration cpu_begin = processor_time();
  if (!decode(plan)) return true;
  const Time now = Clock::now();
  scheduler_.computed();
  const int answers = static_cast<int>(plan.outputs.size());
  const int prompt = static_cast<int>(plan.steps.size()) - answers;
  pace_.took(answers, prompt, now - begin);
  if (prompt == 0) threads_.took(answers, now - begin, processor_time() - cpu_begin, now);
  give(plan);
  if (saver_) saver_->after(plan);
  return true;
}

// Before the first step there is nobody to keep waiting: who is on the way may come along.
void ScheduledLanguage::gather() const {
  const Time latest = Clock::now() + kGather;
  while (coming_->load(std::memory_order_relaxed) > 0 && Clock::now() < latest)
    std::this_thread::sleep_for(kGatherLook);
}

void ScheduledLanguage::take_in() {
  {
    const std::lock_guard lock(mutex_);
    taken_in_.swap(arrivals_);
  }
  for (std::shared_ptr<Request>& request : taken_in_) {
    if (request->asked.overflow == Overflow::kShift) request->all = request->asked.prompt;
    if (options_.guess > 0 && request->asked.keep) {
      request->lookup.emplace(request->asked.prompt, options_.guess,
                              static_cast<std::size_t>(window_));
    }
    std::vector<Token> tokens = request->asked.prompt;
    enlist(std::move(request), std::move(tokens));
  }
  taken_in_.clear();
}

void ScheduledLanguage::enlist(std::shared_ptr<Request> request, std::vector<Token> tokens) {
  request->position = static_cast<int>(tokens.size());
  const auto job = static_cast<std::size_t>(
      scheduler_.add({.tokens = std::move(tokens),
                      .tokens_more = std::min(request->max_tokens, window_ - request->position),
                      .priority = request->asked.priority,
                      .client = request->asked.client,
                      .adapter = request->asked.adapter,
                      .keep = request->asked.keep}));
  if (requests_.size() <= job) requests_.resize(job + 1);
  requests_[job] = std::move(request);
}

void ScheduledLanguage::drop_unwanted() {
  for (std::size_t job = 0; job < requests_.size(); ++job) {
    if (requests_[job] && !requests_[job]->wanted.load(std::memory_order_relaxed))
      end(static_cast<int>(job));
  }
}

// False when it could not be: then the plan is to be made anew.
bool ScheduledLanguage::carry_out(const Plan& plan) {
  try {
    memory_.carry_out(plan.memory);
    return true;
  } catch (const Error& error) {
    log().warn("{}: kept prompts are lost, and will be computed again: {}", options_.name,
               error.message());
    scheduler_.lost_memory();
    if (saver_) saver_->lost();
    return false;
  }
}

// False when nothing was computed; then the plan is to be made anew.
bool ScheduledLanguage::decode(const Plan& plan) {
  try {
    context_->use_threads(threads_.threads());
    context_->use_adapter(plan.adapter);
    context_->decode(plan.steps, stop_.token());
    return true;
  } catch (const Error& error) {
    scheduler_.failed();
    // The memory has less room than its cells: fewer at once, then.
    if (error.code() == Code::kResourceExhausted && scheduler_.put_back_one()) return false;
    throw;
  }
}

void ScheduledLanguage::give(const Plan& plan) {
  int done = -1;  // whose further outputs stand behind a wrong guess
  for (const Plan::Output& output : plan.outputs) {
    if (output.job == done) continue;
    try {
      done = give(output) ? -1 : output.job;
    } catch (const Error& error) {  // of its own sampling: others are not concerned
      requests_[static_cast<std::size_t>(output.job)]->finish(error);
      end(output.job);
      done = output.job;
    }
  }
}

// True: the job's next output is its next token.
bool ScheduledLanguage::give(const Plan::Output& output) {
  Request& request = *requests_[static_cast<std::size_t>(output.job)];
  const CompletionRequest& asked = request.asked;
  const std::span<const float> logits = context_->logits(output.step);
  const Token token = request.sampler->sample(logits);
  request.cached.store(scheduler_.cached_tokens(output.job), std::memory_order_relaxed);
  std::optional<Finish> finish;
  std::string text;
  if (model_->ends(token) && !asked.ignore_end) {
    finish = Finish::kEnd;
  } else {
    text = request.text.add(
        model_->piece(token, std::ranges::find(asked.visible, token) != asked.visible.end()));
    const int tokens = request.tokens.load(std::memory_order_relaxed) + 1;
    request.tokens.store(tokens, std::memory_order_relaxed);
    ++request.position;
    if (request.text.stopped()) {
      finish = Finish::kStop;
    } else if (tokens >= request.max_tokens ||
               (request.position >= window_ && asked.overflow != Overflow::kShift)) {
      finish = Finish::kLength;
    }
  }
  if (finish) text += request.text.finish();
  std::optional<TokenChances> chances;
  if (asked.chances >= 0 && finish != Finish::kEnd)
    chances = chances_of(request.sampler->chances(logits, token, asked.chances), token);
  if (finish || !text.empty() || chances) {
    {
      const std::lock_guard lock(request.mutex);
      request.piece.text += text;
      if (chances) request.piece.chances.push_back(std::move(*chances));
      request.piece.finish = finish;
    }
    request.news.set();
  }
  if (finish) {
    count_guesses(request, output);
    end(output.job);
    return false;
  }
  const bool right = scheduler_.append(output.job, token);
  if (request.lookup) guess(request, output, token, right);
  if (asked.overflow != Overflow::kShift) return right;
  request.all.push_back(token);
  if (request.position < window_) return right;
  shift(output.job);
  return false;
}

void ScheduledLanguage::guess(Request& request, const Plan::Output& output, Token token,
                              bool right) {
  request.lookup->add(token);
  if (right) {
    ++request.right;
    return;
  }
  request.lookup->was(request.right + output.guesses, request.right);
  count_guesses(request, output);
  scheduler_.propose(output.job, request.lookup->guess());
}

// At the last output that counts: those behind it were wrong.
void ScheduledLanguage::count_guesses(Request& request, const Plan::Output& output) {
  const int right = std::exchange(request.right, 0);
  request.guessed.fetch_add(right + output.guesses, std::memory_order_relaxed);
  request.guessed_right.fetch_add(right, std::memory_order_relaxed);
  guessed_.fetch_add(right + output.guesses, std::memory_order_relaxed);
  guessed_right_.fetch_add(right, std::memory_order_relaxed);
}

void ScheduledLanguage::end(int job) {
  scheduler_.end(job);
  requests_[static_cast<std::size_t>(job)].reset();
}

// The answer goes on over its latest half, which is read again.
void ScheduledLanguage::shift(int job) {
  std::shared_ptr<Request> request = std::move(requests_[static_cast<std::size_t>(job)]);
  scheduler_.end(job);
  truncate(request->all, window_);
  std::vector<Token> tokens = request->all;
  enlist(std::move(request), std::move(tokens));
}

void ScheduledLanguage::fail_all(const Error& error) {
  take_in();
  for (std::size_t job = 0; job < requests_.size(); ++job) {
    if (!requests_[job]) continue;
    requests_[job]->finish(error);
    end(static_cast<int>(job));
  }
}

void ScheduledLanguage::publish() noexcept {
  {
    const std::lock_guard lock(mutex_);
    waiting_.store(static_cast<int>(scheduler_.waiting() + arrivals_.size()),
                   std::memory_order_relaxed);
  }
  running_.store(static_cast<int>(scheduler_.running()), std::memory_order_relaxed);
  tokens_.store(scheduler_.tree().cells(), std::memory_order_relaxed);
  tokens_in_use_.store(scheduler_.tree().cells_open(), std::memory_order_relaxed);
}

}  // namespace baozi::llm
