#include "baozi/model/cascade.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <prometheus/counter.h>

#include <algorithm>
#include <array>
#include <mutex>
#include <utility>

#include "baozi/base/error.h"
#include "baozi/base/log.h"
#include "baozi/base/metrics.h"
#include "baozi/coro/this_task.h"
#include "baozi/model/confidence.h"

namespace baozi::model {
namespace {

using engine::Signature;
using engine::TensorSpec;

constexpr std::array kReasons = {"loading", "confident", "asked", "failed"};

std::string describe(const TensorSpec& spec) {
  return fmt::format("{} {}", dtype_name(spec.dtype), to_string(spec.shape));
}

bool alike(const TensorSpec& a, const TensorSpec& b) {
  if (a.dtype != b.dtype || a.shape.rank() != b.shape.rank()) return false;
  for (std::size_t i = 0; i < a.shape.rank(); ++i) {
    if (a.shape[i] >= 0 && b.shape[i] >= 0 && a.shape[i] != b.shape[i]) return false;
  }
  return true;
}

std::string names_of(const std::vector<TensorSpec>& specs) {
  std::vector<std::string> names;
  for (const TensorSpec& spec : specs) names.push_back(spec.name);
  return fmt::format("{}", fmt::join(names, ", "));
}

std::string difference(std::string_view kind, const std::vector<TensorSpec>& a,
                       const std::vector<TensorSpec>& b) {
  for (const TensorSpec& spec : a) {
    const auto at = std::ranges::find(b, spec.name, &TensorSpec::name);
    if (at == b.end() || a.size() != b.size())
      return fmt::format("the {}s of one are: {}; of the other: {}", kind, names_of(a),
                         names_of(b));
    if (!alike(spec, *at)) {
      return fmt::format("{} '{}' of one is {}, of the other {}", kind, spec.name, describe(spec),
                         describe(*at));
    }
  }
  return a.size() == b.size() ? ""
                              : fmt::format("one has no {}s, the other: {}", kind, names_of(b));
}

// Nobody waits for an answer any more.
bool is_over(const Error& error) noexcept {
  return error.code() == Code::kCancelled || error.code() == Code::kDeadlineExceeded;
}

std::optional<NotReady> absence(const Repository& repository, const std::string& name) {
  try {
    (void)repository.find(name, "");
  } catch (const NotReady& error) {
    return error;
  }
  return std::nullopt;
}

}  // namespace

std::string difference(const Signature& a, const Signature& b) {
  const std::string inputs = difference("input", a.inputs, b.inputs);
  return inputs.empty() ? difference("output", a.outputs, b.outputs) : inputs;
}

// One of the two models.
class Cascade::Part {
 public:
  Part(const std::string& cascade, std::string part_name, const char* size)
      : name(std::move(part_name)), size_name(size) {
    for (std::size_t i = 0; i < kReasons.size(); ++i) {
      answers_[i] = &metrics::counter(
          "baozi_cascade_answers_total", "Answers of cascades, by the model that spoke and why",
          {{"cascade", cascade}, {"model", name}, {"reason", kReasons[i]}});
    }
  }

  void count(Reason reason) const noexcept {
    answers_[static_cast<std::size_t>(reason)]->Increment();
  }

  // Each form of it is compared once. Errors: kFailedPrecondition.
  void check_fits(const std::shared_ptr<Servable>& servable, const Cascade& cascade) {
    const std::lock_guard lock(mutex_);
    if (!fits_.owner_before(servable) && !servable.owner_before(fits_)) return;
    const std::string wrong = difference(cascade.signature(), servable->signature());
    if (!wrong.empty()) {
      throw Error(Code::kFailedPrecondition,
                  fmt::format("model '{}' does not fit cascade '{}' any more: {}", name,
                              cascade.name(), wrong));
    }
    fits_ = servable;
  }

  // Once for all requests.
  void warn(const std::string& cascade, const Error& error) noexcept {
    {
      const std::lock_guard lock(mutex_);
      if (std::exchange(warned_, true)) return;
    }
    log().warn("{}: what {} answers is never sure enough: {}", cascade, name, error.message());
  }

  const std::string name;
  const char* const size_name;

 private:
  std::array<prometheus::Counter*, kReasons.size()> answers_{};
  std::mutex mutex_;
  std::weak_ptr<Servable> fits_;  // guarded by mutex_
  bool warned_ = false;           // guarded by mutex_
};

struct Cascade::Counts {
  void add(bool ok, Time start) noexcept {
    const Time now = Clock::now();
    const auto ns = static_cast<std::uint64_t>((now - start) / std::chrono::nanoseconds(1));
    const std::lock_guard lock(mutex);
    Statistics::Duration& kind = ok ? statistics.success : statistics.fail;
    kind.count += 1;
    kind.ns += ns;
    if (!ok) return;
    statistics.inference_count += 1;
    statistics.execution_count += 1;
    statistics.last_inference_ms = static_cast<std::uint64_t>(
        std::chrono::system_clock::now().time_since_epoch() / std::chrono::milliseconds(1));
  }

  std::mutex mutex;
  Statistics statistics;  // guarded by mutex
};

struct Cascade::Attempt {
  InferResponse response;
  std::optional<Error> error;
};

Cascade::Cascade(CascadeOptions options, const Repository& repository, const Cascade* before)
    : options_(std::move(options)),
      repository_(repository),
      counts_(before != nullptr ? before->counts_ : std::make_shared<Counts>()),
      small_(std::make_unique<Part>(options_.name, options_.small, "small")),
      large_(std::make_unique<Part>(options_.name, options_.large, "large")) {
  const std::shared_ptr<Servable> small = repository_.peek(options_.small, "");
  const std::shared_ptr<Servable> large = repository_.peek(options_.large, "");
  if (small == nullptr && large == nullptr) throw_absent();
  const Servable& first = large != nullptr ? *large : *small;
  signature_ = first.signature();
  labels_ = first.labels();
  origin_ = first.origin();
  if (small != nullptr && large != nullptr) {
    std::string wrong = difference(small->signature(), large->signature());
    if (labels_.empty()) labels_ = small->labels();
    if (!small->labels().empty() && small->labels() != labels_)
      wrong = "their class names are not the same";
    if (!wrong.empty()) {
      throw Error(Code::kFailedPrecondition,
                  fmt::format("'{}' and '{}' cannot answer for each other: {}", options_.small,
                              options_.large, wrong));
    }
  }
  if (options_.threshold) scores_ = find_scores();
}

Cascade::~Cascade() = default;

std::string Cascade::find_scores() const {
  std::vector<std::string> fitting;
  for (const TensorSpec& output : signature_.outputs) {
    if (may_be_scores(output.dtype)) fitting.push_back(output.name);
  }
  const std::string& wanted = options_.output;
  if (wanted.empty() && fitting.size() == 1) return fitting.front();
  if (!wanted.empty() && std::ranges::find(fitting, wanted) != fitting.end()) return wanted;
  throw Error(Code::kFailedPrecondition,
              fmt::format("'threshold' needs an output of probabilities, {}; '{}' has: {}",
                          wanted.empty() ? "and 'output' does not say which it is"
                                         : fmt::format("but '{}' is none", wanted),
                          options_.small, names_of(signature_.outputs)));
}

bool Cascade::ready() const noexcept {
  const std::shared_ptr<Servable> small = repository_.peek(options_.small, "");
  if (small != nullptr && small->ready()) return true;
  const std::shared_ptr<Servable> large = repository_.peek(options_.large, "");
  return large != nullptr && large->ready();
}

bool Cascade::cached() const noexcept {
  const std::shared_ptr<Servable> small = repository_.peek(options_.small, "");
  if (small != nullptr && small->cached()) return true;
  const std::shared_ptr<Servable> large = repository_.peek(options_.large, "");
  return large != nullptr && large->cached();
}

Statistics Cascade::statistics() const {
  const std::lock_guard lock(counts_->mutex);
  return counts_->statistics;
}

// Only when no model that may answer has room.
std::optional<Refusal> Cascade::refusal() const noexcept {
  const std::shared_ptr<Servable> small = repository_.peek(options_.small, "");
  const std::shared_ptr<Servable> large = repository_.peek(options_.large, "");
  if (large == nullptr) return small != nullptr ? small->refusal() : std::nullopt;
  const std::optional<Refusal> full = large->refusal();
  const bool small_may = small != nullptr && (options_.threshold || options_.fall_back);
  return full && small_may && !small->refusal() ? std::nullopt : full;
}

// Null: it is not there, or went just now.
std::shared_ptr<Servable> Cascade::find(const Part& part) const {
  if (repository_.peek(part.name, "") == nullptr) return nullptr;
  try {
    return repository_.find(part.name, "");
  } catch (const Error&) {
    return nullptr;
  }
}

void Cascade::throw_absent() const {
  repository_.want(options_.small);
  repository_.want(options_.large);
  const std::optional<NotReady> small = absence(repository_, options_.small);
  const std::optional<NotReady> large = absence(repository_, options_.large);
  if (small && (small->coming() || !large || !large->coming())) throw NotReady(*small);
  if (large) throw NotReady(*large);
  throw Error(Code::kUnavailable,
              fmt::format("the models of cascade '{}' came just now; ask again", options_.name));
}

std::shared_ptr<Servable> Cascade::peek() const noexcept {
  std::shared_ptr<Servable> large = repository_.peek(options_.large, "");
  return large != nullptr ? large : repository_.peek(options_.small, "");
}

std::shared_ptr<Servable> Cascade::choose() {
  if (std::shared_ptr<Servable> large = find(*large_)) {
    large_->count(Reason::kAsked);
    return large;
  }
  std::shared_ptr<Servable> small = find(*small_);
  if (small == nullptr) throw_absent();
  repository_.want(options_.large);
  small_->count(Reason::kLoading);
  return small;
}

Task<InferResponse> Cascade::infer(InferRequest request) {
  const Context& context = co_await this_context();
  struct Counted {
    const std::shared_ptr<Counts> counts;
    const Time start = Clock::now();
    bool wanted;  // not that of a warm-up
    bool ok = false;
    ~Counted() {
      if (wanted) counts->add(ok, start);
    }
  } counted{.counts = counts_, .wanted = context.trace == nullptr || context.trace->id() != 0};
  Task<InferResponse> answering = answer(std::move(request), counted.wanted);
  InferResponse response = co_await std::move(answering);
  counted.ok = true;
  co_return response;
}

Task<Cascade::Attempt> Cascade::attempt(Part* part, std::shared_ptr<Servable> servable,
                                        InferRequest request) {
  Attempt made;
  try {
    part->check_fits(servable, *this);
    request.model = servable->name();
    request.version = servable->version();
    Task<InferResponse> asking = servable->infer(std::move(request));
    made.response = co_await std::move(asking);
  } catch (const Error& error) {
    made.error = error;
  }
  co_return made;
}

Task<InferResponse> Cascade::answer(InferRequest request, bool counts) {
  const auto give = [this, counts](Part& part, InferResponse response, Reason reason) {
    if (counts) part.count(reason);
    return said(part, std::move(response));
  };
  const std::shared_ptr<Servable> large = find(*large_);
  const std::shared_ptr<Servable> small = find(*small_);
  if (large == nullptr && small == nullptr) throw_absent();
  if (large == nullptr && !options_.threshold) repository_.want(options_.large);
  std::optional<InferResponse> unsure;
  if (small != nullptr && (large == nullptr || options_.threshold)) {
    Task<Attempt> asking = attempt(small_.get(), small, to_small(request));
    Attempt made = co_await std::move(asking);
    if (made.error && (large == nullptr || is_over(*made.error))) throw Error(*made.error);
    if (!made.error) {
      const bool sure = is_sure(made.response);
      unsure = from_small(std::move(made.response), request);
      if (sure) co_return give(*small_, *std::move(unsure), Reason::kConfident);
    }
    if (large == nullptr) {
      if (options_.threshold) repository_.want(options_.large);
      co_return give(*small_, *std::move(unsure), Reason::kLoading);
    }
  }
  Task<Attempt> asking = attempt(large_.get(), large, request);
  Attempt made = co_await std::move(asking);
  if (!made.error) co_return give(*large_, std::move(made.response), Reason::kAsked);
  const Code code = made.error->code();
  if (!options_.fall_back || is_over(*made.error) || code == Code::kInvalidArgument)
    throw Error(*made.error);
  if (!unsure && small != nullptr && !options_.threshold) {
    Task<Attempt> falling_back = attempt(small_.get(), small, request);
    Attempt instead = co_await std::move(falling_back);
    if (!instead.error) unsure = std::move(instead.response);
  }
  if (!unsure) throw Error(*made.error);
  co_return give(*small_, *std::move(unsure), Reason::kFailed);
}

// With the output that says how sure it is, whatever was asked for.
InferRequest Cascade::to_small(const InferRequest& request) const {
  InferRequest asked = request;
  const bool all = request.outputs.empty() || scores_.empty();
  if (!all && std::ranges::find(request.outputs, scores_) == request.outputs.end())
    asked.outputs.push_back(scores_);
  return asked;
}

InferResponse Cascade::from_small(InferResponse response, const InferRequest& request) const {
  if (request.outputs.empty()) return response;
  std::erase_if(response.outputs, [&request](const NamedTensor& output) {
    return std::ranges::find(request.outputs, output.name) == request.outputs.end();
  });
  return response;
}

bool Cascade::is_sure(const InferResponse& response) const {
  if (!options_.threshold) return false;
  const Tensor* const scores = find_tensor(response.outputs, scores_);
  try {
    return scores != nullptr &&
           confidence_of(*scores, {.rows = signature_.batchable(), .logits = options_.logits}) >=
               *options_.threshold;
  } catch (const Error& error) {
    small_->warn(options_.name, error);
    return false;
  }
}

// One cascade within another leaves the name of the model itself.
InferResponse Cascade::said(Part& part, InferResponse response) const {
  response.model = options_.name;
  response.version = options_.version;
  response.parameters.insert_or_assign(std::string(kCascadePart), std::string(part.size_name));
  response.parameters.try_emplace(std::string(kAnsweredBy), part.name);
  return response;
}

}  // namespace baozi::model
