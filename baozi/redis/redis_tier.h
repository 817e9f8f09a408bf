// RedisTier: the response cache's second tier in a Redis that other processes share.
//
// All talk with Redis is on a lane of its own, over one connection, with what waits at one time in
// one round trip. A request waits no longer than `timeout`; the lane goes on. A Redis that is dead,
// hung, slow or talks garbage costs the first few requests that much, and then nothing
// (circuit_breaker.h): it is probed in the background until it is well again. Writes are kept in a
// bounded queue and dropped beyond it.
//
// In Redis: `baozi:c:KEY`, a record of model/cache_record.h that expires with the entry; and for
// each model version `baozi:h:GROUP`, a sorted set of its keys by how often they were used.
//
// Thread safety: all methods. No get() may be under way when it is destroyed.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "baozi/coro/event.h"
#include "baozi/coro/lane.h"
#include "baozi/coro/timer.h"
#include "baozi/model/second_tier.h"
#include "baozi/redis/circuit_breaker.h"
#include "baozi/redis/redis_connection.h"
#include "baozi/redis/redis_url.h"

namespace baozi::redis {

struct RedisTierOptions {
  Address address = {};
  std::chrono::milliseconds timeout{3};       // what a request waits at most
  std::chrono::milliseconds io_timeout{100};  // what the lane gives a connection or a round trip
  BreakerOptions breaker = {};
  std::size_t record_bytes_max = std::size_t{16} << 20;  // larger ones stay in the process
  std::size_t writes_max = 1024;                         // waiting
  std::size_t write_bytes_max = std::size_t{64} << 20;   // waiting
  int hot_keys_max = 10'000;                             // of a group, remembered in Redis
  int pull_max = 1000;                                   // of a group, fetched at start
  std::size_t pull_bytes_max = std::size_t{64} << 20;
};

class RedisTier final : public model::SecondTier {
 public:
  // Begins to connect, in the background.
  explicit RedisTier(RedisTierOptions options);
  ~RedisTier() override;

  Task<std::optional<Bytes>> get(model::CacheKey key) override;
  void put(const model::CacheKey& group, const model::CacheKey& key, Bytes record,
           std::chrono::milliseconds ttl) noexcept override;
  void used(const model::CacheKey& group, const model::CacheKey& key,
            std::uint32_t times) noexcept override;
  void remove(const model::CacheKey& group, const model::CacheKey& key) noexcept override;
  void pull(const model::CacheKey& group, Sink sink) noexcept override;

  // Whether it is asked now.
  bool connected() const;
  // Writes that wait.
  std::size_t waiting() const;

 private:
  struct Get;
  struct Metrics;
  struct Write {
    enum class Kind { kPut, kUsed, kRemove };
    Kind kind;
    model::CacheKey group;
    model::CacheKey key;
    Bytes record;
    std::chrono::milliseconds ttl;
    std::uint32_t times;
  };
  struct Pull {
    model::CacheKey group;
    Sink sink;
    std::vector<model::CacheKey> keys;  // the hottest last
    bool listed = false;                // whether `keys` is known
    std::size_t bytes_left = 0;
  };
  struct Step : Work {
    explicit Step(RedisTier& of) noexcept : tier(of) { run = &Step::run_step; }
    static void run_step(Work* work) noexcept;
    RedisTier& tier;
  };
  class ProbeTimer final : public TimerEntry {
   public:
    explicit ProbeTimer(RedisTier& tier) noexcept : TimerEntry(&ProbeTimer::fire), tier_(tier) {}

   private:
    static void fire(TimerEntry* entry) noexcept;
    RedisTier& tier_;
  };

  static Task<void> wait_for(std::shared_ptr<Get> get);
  std::shared_ptr<Get> enter(const model::CacheKey& key);
  void note_late();
  void enqueue(Write write) noexcept;
  void post_locked() noexcept;
  void opened_locked(const std::string& why);
  void tell_locked(const std::string& why);
  void arm_locked();

  // On the lane.
  void step() noexcept;
  void probe();
  void answer(std::vector<std::shared_ptr<Get>> gets);
  void carry_out(const std::vector<Write>& writes);
  void pull_some();
  std::vector<Reply> ask(const std::vector<Command>& commands);
  void lost(const std::string& why);

  const RedisTierOptions options_;
  const std::string place_;
  const std::unique_ptr<Metrics> metrics_;
  // The lane's:
  std::unique_ptr<RedisConnection> connection_;

  mutable std::mutex mutex_;
  // Guarded by mutex_:
  CircuitBreaker breaker_;
  std::vector<std::shared_ptr<Get>> gets_;
  std::deque<Write> writes_;
  std::size_t write_bytes_ = 0;
  std::deque<Pull> pulls_;
  bool posted_ = false;  // a step is under way, and looks again before it ends
  bool timer_armed_ = false;
  bool told_ = false;  // that it is away: said once
  bool closing_ = false;

  Step step_{*this};
  ProbeTimer timer_{*this};
  Lane lane_{"redis"};  // last: ends first
};

}  // namespace baozi::redis
