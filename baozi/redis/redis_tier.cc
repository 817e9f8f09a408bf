#include "baozi/redis/redis_tier.h"

#include <fmt/format.h>
#include <prometheus/counter.h>
#include <prometheus/gauge.h>

#include <utility>

#include "baozi/base/error.h"
#include "baozi/base/log.h"
#include "baozi/coro/this_task.h"
#include "baozi/coro/with_deadline.h"
#include "baozi/redis/redis_tier_parts.h"

namespace baozi::redis {
namespace {

using model::CacheKey;

constexpr std::size_t kGetsMax = 4096;  // waiting; more are not asked

}  // namespace

void RedisTier::Step::run_step(Work* work) noexcept { static_cast<Step*>(work)->tier.step(); }

void RedisTier::ProbeTimer::fire(TimerEntry* entry) noexcept {
  RedisTier& tier = static_cast<ProbeTimer*>(entry)->tier_;
  const std::lock_guard lock(tier.mutex_);
  tier.timer_armed_ = false;
  if (!tier.closing_) tier.post_locked();
}

RedisTier::RedisTier(RedisTierOptions options)
    : options_(std::move(options)),
      place_(to_string(options_.address)),
      metrics_(std::make_unique<Metrics>()),
      breaker_(options_.breaker, Clock::now()) {
  const std::lock_guard lock(mutex_);
  post_locked();
}

RedisTier::~RedisTier() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  timer::cancel(timer_);
}

bool RedisTier::connected() const {
  const std::lock_guard lock(mutex_);
  return breaker_.closed();
}

std::size_t RedisTier::waiting() const {
  const std::lock_guard lock(mutex_);
  return writes_.size();
}

Task<void> RedisTier::wait_for(std::shared_ptr<Get> get) { co_await get->done.wait(); }

Task<std::optional<Bytes>> RedisTier::get(CacheKey key) {
  const Context& context = co_await this_context();
  const std::shared_ptr<Get> get = enter(key);
  if (get == nullptr) co_return std::nullopt;
  Task<void> waiting = with_deadline(wait_for(get), get->deadline);
  bool late = false;
  try {
    co_await std::move(waiting);
  } catch (const Error&) {
    if (context.stop.stop_requested()) throw;
    late = true;
  }
  if (!late) {
    metrics_->gets[static_cast<std::size_t>(get->outcome)]->Increment();
    co_return std::move(get->record);
  }
  note_late();
  co_return std::nullopt;
}

void RedisTier::note_late() {
  metrics_->gets[static_cast<std::size_t>(Outcome::kLate)]->Increment();
  const std::lock_guard lock(mutex_);
  if (breaker_.failed(Clock::now()))
    opened_locked(fmt::format("no answer within {} ms", options_.timeout.count()));
}

std::shared_ptr<RedisTier::Get> RedisTier::enter(const CacheKey& key) {
  const std::lock_guard lock(mutex_);
  if (!breaker_.closed() || gets_.size() >= kGetsMax) {
    metrics_->gets[static_cast<std::size_t>(Outcome::kSkipped)]->Increment();
    return nullptr;
  }
  gets_.push_back(std::make_shared<Get>(key, Clock::now() + options_.timeout));
  post_locked();
  return gets_.back();
}

void RedisTier::put(const CacheKey& group, const CacheKey& key, Bytes record,
                    std::chrono::milliseconds ttl) noexcept {
  if (record.size() > options_.record_bytes_max) return;
  enqueue({Write::Kind::kPut, group, key, std::move(record), ttl, 1});
}

void RedisTier::used(const CacheKey& group, const CacheKey& key, std::uint32_t times) noexcept {
  enqueue({Write::Kind::kUsed, group, key, {}, {}, times});
}

void RedisTier::remove(const CacheKey& group, const CacheKey& key) noexcept {
  enqueue({Write::Kind::kRemove, group, key, {}, {}, 0});
}

void RedisTier::enqueue(Write write) noexcept {
  const std::lock_guard lock(mutex_);
  const std::size_t bytes = write.record.size();
  if (!breaker_.closed() || writes_.size() >= options_.writes_max ||
      write_bytes_ + bytes > options_.write_bytes_max) {
    metrics_->dropped.Increment();
    return;
  }
  write_bytes_ += bytes;
  writes_.push_back(std::move(write));
  post_locked();
}

void RedisTier::pull(const CacheKey& group, Sink sink) noexcept {
  if (options_.pull_max == 0) return;
  const std::lock_guard lock(mutex_);
  pulls_.push_back({group, std::move(sink), {}, false, options_.pull_bytes_max});
  post_locked();
}

void RedisTier::post_locked() noexcept {
  if (posted_) return;
  posted_ = true;
  lane_.post(step_);
}

void RedisTier::opened_locked(const std::string& why) {
  tell_locked(why);
  metrics_->up.Set(0);
  arm_locked();
}

// Said once: what follows until it is well again is not news.
void RedisTier::tell_locked(const std::string& why) {
  if (std::exchange(told_, true)) return;
  log().warn("redis {}: {}; answers are kept in this process only until it is well again", place_,
             why);
}

void RedisTier::arm_locked() {
  const Time due = breaker_.probe_at();
  if (closing_ || timer_armed_ || due == kNever) return;
  timer_armed_ = true;
  timer::add(timer_, due);
}

}  // namespace baozi::redis
