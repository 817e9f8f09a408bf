#include "baozi/llm/scheduler.h"

#include <algorithm>
#include <cassert>
#include <limits>
#include <utility>

namespace baozi::llm {

using engine::Token;

namespace {

// So many cells are gathered at once from the past, so that not every step looks for its few.
constexpr int kEvictAtLeast = 64;
constexpr int kAll = std::numeric_limits<int>::max();
// Cells a request that begins finds free beyond its prompt, lest its first words put it back.
constexpr int kRoomToAnswer = 16;
// The same text under another adapter has other keys and values. So that it is never shared, its
// tokens are other ones here: the adapter's number stands above theirs.
constexpr int kTokenBits = 24;

Token token_under(Token token, int adapter) { return (adapter << kTokenBits) + token; }
Token token_of(Token token) { return token & ((1 << kTokenBits) - 1); }

// A beginning shorter than this is not worth waiting for.
constexpr int kWorthFollowing = 32;

}  // namespace

struct Scheduler::Job {
  std::vector<Token> tokens;  // the prompt, and what was sampled
  int priority = 0;
  std::uint64_t arrival = 0;
  Client* client = nullptr;
  int sequence = -1;  // in the memory; -1: it waits
  int computed = 0;   // of `tokens`, those in the memory
  int cached = -1;    // of the prompt, found there when it began first
  int adapter = 0;
  bool keep = true;
  std::vector<Token> draft;  // a guess of what follows `tokens`
  int drafted = 0;           // of it, those that were computed: more cells than the tree knows of
  int confirmed = 0;         // of those, what was sampled since
  std::size_t tokens_max = 0;

  // Tokens that may follow the first `count`.
  std::size_t more(std::size_t count) const noexcept {
    return tokens_max - std::min(tokens_max, count);
  }
  int left() const noexcept { return static_cast<int>(tokens.size()) - computed; }
};

Scheduler::Scheduler(SchedulerOptions options)
    : options_(options),
      tree_(std::make_unique<PrefixTree>(options.sequences)),
      offloaded_(options.offload_max) {
  assert(options.running_max >= 1 && options.sequences >= options.running_max);
  assert(options.steps_max >= options.running_max);
}

Scheduler::~Scheduler() = default;

int Scheduler::add(JobRequest request) {
  assert(request.adapter >= 0 && request.adapter <= kAdaptersMax);
  assert(!request.tokens.empty() && static_cast<int>(request.tokens.size()) < options_.cells);
  auto made = std::make_unique<Job>();
  made->tokens_max = request.tokens.size() + static_cast<std::size_t>(request.tokens_more);
  made->tokens = std::move(request.tokens);
  made->tokens.reserve(made->tokens_max);
  for (Token& token : made->tokens) token = token_under(token, request.adapter);
  made->adapter = request.adapter;
  made->keep = request.keep;
  made->priority = request.priority;
  made->arrival = ++arrivals_;
  made->client = &client(std::move(request.client));
  ++made->client->jobs;
  const auto free = std::ranges::find_if(jobs_, [](const auto& each) { return !each; });
  const auto number = static_cast<int>(free - jobs_.begin());
  if (free == jobs_.end()) {
    jobs_.push_back(std::move(made));
  } else {
    *free = std::move(made);
  }
  waiting_.push_back(number);
  return number;
}

const Plan& Scheduler::next(const StepLimits& limits) {
  plan_.memory.clear();
  plan_.shared.clear();
  settle();
  for (;;) {
    plan(limits);
    // Prompts that hold the memory between them, each too little of it.
    if (!plan_.steps.empty() || running_.size() < 2) break;
    put_back(last_running());
    settle();
  }
  if (options_.offload_max > 0 && !plan_.steps.empty()) {
    while (tree_->cells() - tree_->cells_open() > options_.idle_max && evict(kAll)) {
    }
  }
  return plan_;
}

// Adapters take turns; one that has nothing to compute now is passed over.
void Scheduler::plan(const StepLimits& limits) {
  const int first = next_adapter();
  plan_.adapter = first;
  do {
    plan_.steps.clear();
    plan_.outputs.clear();
    pieces_.clear();
    planned_ = 0;
    plan_next_tokens();
    const int left = options_.steps_max - planned_;
    const int near = planned_ > 0 ? std::min(left, limits.prompt_tokens) : left;
    plan_prompts(near, std::min(left, std::max(near, kFarPiece)));
    if (!plan_.steps.empty()) return;
    plan_.adapter = next_adapter();
  } while (plan_.adapter != first);
}

// The next one, in a circle, that anyone wants.
int Scheduler::next_adapter() const {
  int next = std::numeric_limits<int>::max();
  int lowest = next;
  for (const auto* jobs : {&running_, &waiting_}) {
    for (const int number : *jobs) {
      const int adapter = job(number).adapter;
      lowest = std::min(lowest, adapter);
      if (adapter > plan_.adapter) next = std::min(next, adapter);
    }
  }
  if (lowest == std::numeric_limits<int>::max()) return plan_.adapter;
  return next == std::numeric_limits<int>::max() ? lowest : next;
}

bool Scheduler::in_plan(int number) const { return job(number).adapter == plan_.adapter; }

void Scheduler::computed() {
  for (const Piece& piece : pieces_) {
    Job& each = job(piece.job);
    const auto begin = static_cast<std::size_t>(each.computed);
    const auto count = static_cast<std::size_t>(piece.count);
    tree_->extend(each.sequence, std::span(each.tokens).subspan(begin, count),
                  each.more(begin + count));
    each.computed += piece.count;
    each.client->served += count;
    each.drafted = piece.drafted;
  }
  pieces_.clear();
}

void Scheduler::failed() { pieces_.clear(); }

bool Scheduler::append(int number, Token token) {
  Job& each = job(number);
  assert(each.left() == 0 && "it has no output yet");
  each.tokens.push_back(token_under(token, each.adapter));
  const auto at = static_cast<std::size_t>(each.confirmed);
  if (each.confirmed < each.drafted && each.draft[at] == token) {
    tree_->extend(each.sequence, std::span(each.tokens).last(1), each.more(each.tokens.size()));
    ++each.computed;
    ++each.confirmed;
    ++each.client->served;
    return true;
  }
  forget_draft(each);
  return false;
}

void Scheduler::propose(int number, std::span<const Token> tokens) {
  Job& each = job(number);
  assert(each.drafted == 0);
  each.draft.assign(tokens.begin(), tokens.end());
}

void Scheduler::forget_draft(Job& each) {
  if (each.confirmed < each.drafted)
    owed_.push_back({.sequence = each.sequence, .begin = each.computed, .end = -1});
  each.draft.clear();
  each.drafted = 0;
  each.confirmed = 0;
}

void Scheduler::end(int number) {
  assert(pieces_.empty() && "in the middle of a plan");
  forget_draft(job(number));
  if (job(number).sequence >= 0) close(job(number));
  std::erase(waiting_, number);
  std::erase(running_, number);
  Client* const client = job(number).client;
  jobs_[static_cast<std::size_t>(number)].reset();
  if (--client->jobs == 0)
    std::erase_if(clients_, [client](const auto& each) { return each.get() == client; });
}

bool Scheduler::put_back_one() {
  if (running_.size() < 2) return false;
  put_back(last_running());
  return true;
}

int Scheduler::offloaded(std::span<const Token> tokens) {
  const bool known = offloaded_.reach(tokens, 0) == static_cast<int>(tokens.size());
  return known ? -1 : offloaded_.put_free(tokens);
}

void Scheduler::lost_memory() {
  pieces_.clear();
  owed_.clear();
  tree_ = std::make_unique<PrefixTree>(options_.sequences);
  offloaded_ = Offloaded(options_.offload_max);
  for (const int number : running_) {
    job(number).sequence = -1;
    job(number).computed = 0;
    job(number).cached = -1;
    waiting_.push_back(number);
  }
  running_.clear();
}

int Scheduler::cached_tokens(int number) const noexcept { return std::max(0, job(number).cached); }

// ---- Who goes first

// A newcomer begins at the least that anyone present was given: it has no claims from the past.
Scheduler::Client& Scheduler::client(std::string name) {
  const auto known = std::ranges::find(clients_, name, &Client::name);
  if (known != clients_.end()) return **known;
  auto made = std::make_unique<Client>();
  made->name = std::move(name);
  if (!clients_.empty())
    made->served = (*std::ranges::min_element(clients_, {}, &Client::served))->served;
  clients_.push_back(std::move(made));
  return *clients_.back();
}

bool Scheduler::goes_before(int a, int b) const {
  const Job& first = job(a);
  const Job& second = job(b);
  if (first.priority != second.priority) return first.priority > second.priority;
  if (first.client->served != second.client->served)
    return first.client->served < second.client->served;
  return first.arrival < second.arrival;
}

// Whom it costs least to put back: what it was given does not count, or two would take turns.
int Scheduler::last_running() const {
  return *std::ranges::max_element(running_, [this](int a, int b) {
    const Job& first = job(a);
    const Job& second = job(b);
    return first.priority != second.priority ? first.priority > second.priority
                                             : first.arrival < second.arrival;
  });
}

// ---- Room in the memory

int Scheduler::room() const noexcept { return options_.cells - tree_->cells() - planned_; }

bool Scheduler::make_room(int cells) {
  while (room() < cells) {
    if (!evict(std::max(cells - room(), kEvictAtLeast))) return false;
  }
  return true;
}

bool Scheduler::evict(int cells) {
  // What can be offloaded goes whole: many small copies would be slower to bring back.
  const auto evicted = tree_->evict(options_.offload_max > 0 ? kAll : cells);
  if (!evicted) return false;
  if (options_.offload_max > 0) offload(*evicted);
  plan_.memory.push_back({.sequence = evicted->sequence, .begin = evicted->begin, .end = -1});
  return true;
}

void Scheduler::offload(const PrefixTree::Evicted& evicted) {
  const int begin = offloaded_.reach(evicted.tokens, evicted.from);
  const auto end = static_cast<int>(evicted.tokens.size());
  offloaded_.touch(evicted.tokens, evicted.from);
  if (begin == end) return;
  const int run = offloaded_.put(evicted.tokens, begin, dropped_);
  for (const int dropped : dropped_)
    plan_.memory.push_back({.what = Plan::Memory::Do::kDrop, .other = dropped});
  dropped_.clear();
  if (run >= 0)
    plan_.memory.push_back({Plan::Memory::Do::kOffload, evicted.sequence, begin, end, run});
}

void Scheduler::close(const Job& job) {
  if (!job.keep) {
    tree_->discard(job.sequence);
  } else if (tree_->close(job.sequence)) {
    return;
  }
  owed_.push_back({.sequence = job.sequence, .end = -1});
}

// In the plan that is being made, before anything that may take the closed sequences again.
void Scheduler::settle() {
  plan_.memory.insert(plan_.memory.end(), owed_.begin(), owed_.end());
  owed_.clear();
}

void Scheduler::put_back(int number) {
  Job& each = job(number);
  forget_draft(each);
  close(each);
  each.sequence = -1;
  each.computed = 0;
  std::erase(running_, number);
  waiting_.push_back(number);
}

// ---- The plan

// One token for everyone who answers; where there is no room, fewer answer.
void Scheduler::plan_next_tokens() {
  const auto answers = [this](int number) { return in_plan(number) && job(number).left() == 1; };
  const auto count = [&] { return static_cast<int>(std::ranges::count_if(running_, answers)); };
  while (!make_room(count()) && running_.size() > 1) {
    put_back(last_running());
    settle();
  }
  int rest = std::min(options_.steps_max, room()) - count();
  for (const int number : running_) {
    if (!answers(number) || plan_piece(number, 1) == 0) continue;
    rest -= plan_draft(number, rest);
  }
}

// What was proposed, behind the token that was just planned.
int Scheduler::plan_draft(int number, int count_max) {
  Job& each = job(number);
  const int count = std::clamp(count_max, 0, static_cast<int>(each.draft.size()));
  plan_.outputs.back().guesses = count;
  for (int i = 0; i < count; ++i) {
    plan_.outputs.push_back({number, plan_.steps.size(), count - i - 1});
    plan_.steps.push_back(
        {each.draft[static_cast<std::size_t>(i)], each.computed + 1 + i, each.sequence, true});
  }
  pieces_.back().drafted = count;
  planned_ += count;
  return count;
}

// Whether more may be read is asked of each prompt by where it stands.
void Scheduler::plan_prompts(int near, int far) {
  std::ranges::sort(running_, [this](int a, int b) { return goes_before(a, b); });
  int taken = 0;
  for (const int number : running_) {
    if (!in_plan(number) || job(number).left() <= 1) continue;
    const int budget = job(number).computed >= kFarPosition ? far : near;
    if (taken < budget) taken += plan_piece(number, budget - taken);
  }
  admit(near - taken, far - taken);
}

void Scheduler::admit(int near, int far) {
  std::ranges::sort(waiting_, [this](int a, int b) { return goes_before(a, b); });
  std::size_t at = 0;
  while (at < waiting_.size() && far > 0 &&
         static_cast<int>(running_.size()) < options_.running_max) {
    const int number = waiting_[at];
    if (!in_plan(number)) {
      ++at;
      continue;
    }
    const Start result = start(number);
    if (result == Start::kNoRoom) return;  // and nobody overtakes it
    if (result == Start::kFollows) {
      ++at;
      continue;
    }
    waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(at));
    running_.push_back(number);
    const int budget = job(number).computed >= kFarPosition ? far : near;
    const int taken = budget > 0 ? plan_piece(number, budget) : 0;
    near -= taken;
    far -= taken;
  }
}

// Whether another computes now what this one could share.
bool Scheduler::follows_another(const Job& waiting, int known) const {
  const auto prompt = std::span(waiting.tokens).first(waiting.tokens.size() - 1);
  return std::ranges::any_of(running_, [&](int number) {
    const Job& other = job(number);
    if (other.left() < 2) return false;
    const auto differs = std::ranges::mismatch(prompt, other.tokens).in1;
    return differs - prompt.begin() >= known + kWorthFollowing;
  });
}

Scheduler::Start Scheduler::start(int number) {
  Job& each = job(number);
  // The last token is computed in any case: the answer begins with its logits.
  const auto prompt = std::span(each.tokens).first(each.tokens.size() - 1);
  PrefixTree::Match known = tree_->match(prompt);
  if (follows_another(each, offloaded_.reach(prompt, known.length))) return Start::kFollows;
  const int wanted =
      static_cast<int>(each.tokens.size()) - known.length + (running_.empty() ? 0 : kRoomToAnswer);
  if (room() + tree_->cells() - tree_->cells_open() - known.idle < wanted) return Start::kNoRoom;
  auto opened = tree_->open(known);
  while (!opened) {
    if (!evict(kAll)) return Start::kNoRoom;
    known = tree_->match(prompt);
    opened = tree_->open(known);
  }
  each.sequence = opened->sequence;
  each.computed = known.length;
  bool shared = opened->copied;
  if (opened->copied) {
    plan_.memory.push_back(
        {Plan::Memory::Do::kShare, each.sequence, 0, known.length, known.sequence});
  }
  shared |= reload(each);
  if (shared) plan_.shared.push_back({each.sequence, each.computed});
  if (each.cached < 0) each.cached = each.computed;
  return Start::kStarted;
}

// What follows in the prompt and was offloaded. True: a part of something that went on otherwise.
bool Scheduler::reload(Job& each) {
  const auto prompt = std::span(each.tokens).first(each.tokens.size() - 1);
  offloaded_.touch(prompt, each.computed);
  for (;;) {
    const Offloaded::Found found = offloaded_.find(prompt, each.computed);
    if (found.run < 0) return false;
    if (room() < found.size) {
      // It takes its cells whole. Making room for it may offload, and so drop, other runs.
      if (!make_room(found.size)) return false;
      continue;
    }
    plan_.memory.push_back(
        {Plan::Memory::Do::kReload, each.sequence, each.computed, found.end, found.run});
    const auto begin = static_cast<std::size_t>(each.computed);
    const auto end = static_cast<std::size_t>(found.end);
    tree_->extend(each.sequence, prompt.subspan(begin, end - begin), each.more(end));
    each.computed = found.end;
    if (!found.all) return true;
  }
}

// Plans the next tokens of a request, as many as there is room for; how many those are.
int Scheduler::plan_piece(int number, int count_max) {
  Job& each = job(number);
  int count = std::min(count_max, each.left());
  if (!make_room(count)) count = room();
  if (count <= 0) return 0;
  for (int i = each.computed; i < each.computed + count; ++i) {
    const bool last = i + 1 == static_cast<int>(each.tokens.size());
    if (last) plan_.outputs.push_back({number, plan_.steps.size(), 0});
    const Token token = token_of(each.tokens[static_cast<std::size_t>(i)]);
    plan_.steps.push_back({token, i, each.sequence, last});
  }
  pieces_.push_back({number, count, 0});
  planned_ += count;
  return count;
}

}  // namespace baozi::llm
