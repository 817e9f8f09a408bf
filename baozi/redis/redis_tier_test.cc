#include "baozi/redis/redis_tier.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <mutex>

#include "baozi/base/error.h"
#include "baozi/coro/sleep.h"
#include "baozi/coro/sync_wait.h"
#include "baozi/coro/thread_pool.h"
#include "baozi/coro/with_deadline.h"
#include "baozi/model/cached_model.h"
#include "baozi/redis/test_redis.h"

namespace baozi::redis {
namespace {

using namespace std::chrono_literals;
using model::CacheKey;
using testing::SizeIs;

constexpr CacheKey kGroup{11, 12};

void wait_until(auto condition) {
  const Time end = Clock::now() + 20s;
  while (!condition()) {
    ASSERT_LT(Clock::now(), end) << "it never came to that";
    std::this_thread::sleep_for(1ms);
  }
}

// Patient, so that a busy machine changes no answer; and quick to look again.
RedisTierOptions patient(Address address) {
  RedisTierOptions options;
  options.address = std::move(address);
  options.timeout = 2s;
  options.io_timeout = 2s;
  options.breaker = {.failures_max = 3, .wait_min = 10ms, .wait_max = 40ms};
  return options;
}

// What a request waits for Redis in the worst case is what these tests are about.
RedisTierOptions hasty(Address address) {
  RedisTierOptions options = patient(std::move(address));
  options.timeout = 30ms;
  options.io_timeout = 60ms;
  return options;
}

std::optional<std::string> get(RedisTier& tier, CacheKey key) {
  const std::optional<Bytes> record = sync_wait(tier.get(key));
  if (!record) return std::nullopt;
  return std::string(record->text());
}

void put(RedisTier& tier, CacheKey key, std::string_view text, std::chrono::milliseconds ttl = 1h) {
  tier.put(kGroup, key, Bytes::copy_of(text), ttl);
}

TEST(RedisTier, GivesBackWhatWasPut) {
  const TestRedis redis;
  RedisTier tier(patient(redis.address()));
  wait_until([&] { return tier.connected(); });
  EXPECT_EQ(get(tier, {1, 1}), std::nullopt);
  put(tier, {1, 1}, "steam");
  wait_until([&] { return get(tier, {1, 1}).has_value(); });
  EXPECT_EQ(get(tier, {1, 1}), "steam");
  tier.remove(kGroup, {1, 1});
  wait_until([&] { return !get(tier, {1, 1}).has_value(); });
}

TEST(RedisTier, EntriesExpireInRedis) {
  const TestRedis redis;
  RedisTier tier(patient(redis.address()));
  wait_until([&] { return tier.connected(); });
  put(tier, {1, 1}, "steam", 50ms);
  put(tier, {1, 2}, "stays");
  wait_until([&] { return get(tier, {1, 2}).has_value(); });
  wait_until([&] { return !get(tier, {1, 1}).has_value(); });
  EXPECT_EQ(get(tier, {1, 2}), "stays");
}

TEST(RedisTier, ManyAtOnce) {
  const TestRedis redis;
  RedisTier tier(patient(redis.address()));
  wait_until([&] { return tier.connected(); });
  for (std::uint64_t i = 0; i < 500; ++i) put(tier, {2, i}, std::to_string(i));
  wait_until([&] { return tier.waiting() == 0 && get(tier, {2, 499}).has_value(); });
  std::vector<std::jthread> askers;
  std::atomic<int> right{0};
  for (int t = 0; t < 4; ++t) {
    askers.emplace_back([&] {
      for (std::uint64_t i = 0; i < 500; ++i) right += get(tier, {2, i}) == std::to_string(i);
    });
  }
  askers.clear();
  EXPECT_EQ(right, 2000);
}

TEST(RedisTier, PullsTheMostUsedFirst) {
  const TestRedis redis;
  {
    RedisTier tier(patient(redis.address()));
    wait_until([&] { return tier.connected(); });
    for (std::uint64_t i = 0; i < 20; ++i) put(tier, {3, i}, std::to_string(i));
    for (std::uint64_t i = 5; i < 12; ++i) tier.used(kGroup, {3, i}, 4);
    tier.put({99, 99}, {4, 4}, Bytes::copy_of(std::string_view("another group's")), 1h);
    wait_until([&] { return tier.waiting() == 0 && get(tier, {4, 4}).has_value(); });
  }
  RedisTierOptions options = patient(redis.address());
  options.pull_max = 7;
  std::mutex mutex;
  std::map<std::uint64_t, std::string> pulled;
  RedisTier tier(options);
  tier.pull(kGroup, [&](const CacheKey& key, Bytes record) {
    const std::lock_guard lock(mutex);
    pulled[key.low] = record.text();
  });
  const auto count = [&] {
    const std::lock_guard lock(mutex);
    return pulled.size();
  };
  wait_until([&] { return count() == 7; });
  const std::lock_guard lock(mutex);
  for (std::uint64_t i = 5; i < 12; ++i) EXPECT_EQ(pulled[i], std::to_string(i));
}

TEST(RedisTier, PullsNoMoreBytesThanItMay) {
  const TestRedis redis;
  RedisTierOptions options = patient(redis.address());
  options.pull_bytes_max = 2500;
  RedisTier tier(options);
  wait_until([&] { return tier.connected(); });
  for (std::uint64_t i = 0; i < 20; ++i) put(tier, {3, i}, std::string(1000, 'x'));
  wait_until([&] { return tier.waiting() == 0 && get(tier, {3, 19}).has_value(); });
  std::atomic<int> pulled{0};
  tier.pull(kGroup, [&](const CacheKey&, Bytes) { ++pulled; });
  wait_until([&] { return pulled == 2; });
  put(tier, {5, 5}, "after");  // behind the pull's steps on the lane
  wait_until([&] { return get(tier, {5, 5}).has_value(); });
  EXPECT_EQ(pulled, 2);
}

TEST(RedisTier, AnotherTypeIsNothingAndGoes) {
  const TestRedis redis;
  RedisTier tier(patient(redis.address()));
  wait_until([&] { return tier.connected(); });
  const std::string name = "baozi:c:" + to_string(CacheKey{6, 6});
  redis.ask({"LPUSH", name, "x"});
  EXPECT_EQ(get(tier, {6, 6}), std::nullopt);
  wait_until([&] { return redis.ask({"EXISTS", name}).number == 0; });
  EXPECT_TRUE(tier.connected());
}

TEST(RedisTier, AFullRedisEvictsOrRefusesAndNothingElseHappens) {
  for (const char* policy : {"allkeys-lru", "noeviction"}) {
    const TestRedis redis({"--maxmemory", "3mb", "--maxmemory-policy", policy});
    RedisTier tier(patient(redis.address()));
    wait_until([&] { return tier.connected(); });
    for (std::uint64_t i = 0; i < 300; ++i) put(tier, {7, i}, std::string(20'000, 'x'));
    wait_until([&] { return tier.waiting() == 0; });
    for (std::uint64_t i = 0; i < 300; ++i) {
      const std::optional<std::string> got = get(tier, {7, i});
      EXPECT_TRUE(!got || got == std::string(20'000, 'x'));
    }
    EXPECT_TRUE(tier.connected()) << policy;
  }
}

TEST(RedisTier, NobodyThereCostsNothing) {
  std::uint16_t port = 0;
  ::close(listen_anywhere(port));
  RedisTier tier(patient({.host = "127.0.0.1", .port = port}));
  EXPECT_EQ(get(tier, {1, 1}), std::nullopt);
  put(tier, {1, 1}, "lost");
  EXPECT_EQ(tier.waiting(), 0u);
  EXPECT_FALSE(tier.connected());
}

TEST(RedisTier, ComesBackByItselfAfterItWasKilled) {
  TestRedis redis;
  RedisTier tier(patient(redis.address()));
  wait_until([&] { return tier.connected(); });
  put(tier, {1, 1}, "before");
  wait_until([&] { return get(tier, {1, 1}).has_value(); });
  redis.kill();
  EXPECT_EQ(get(tier, {1, 1}), std::nullopt);
  wait_until([&] { return !tier.connected(); });
  put(tier, {1, 2}, "lost");
  redis.start();
  wait_until([&] { return tier.connected(); });
  EXPECT_EQ(get(tier, {1, 1}), std::nullopt) << "it was only in its memory";
  put(tier, {1, 3}, "after");
  wait_until([&] { return get(tier, {1, 3}).has_value(); });
}

// A stopped process still accepts connections and takes what is sent.
TEST(RedisTier, AHungOneIsAskedThreeTimesAndThenNoMore) {
  const TestRedis redis;
  RedisTier tier(hasty(redis.address()));
  wait_until([&] { return tier.connected(); });
  redis.hang();
  int asked = 0;
  while (tier.connected() && asked < 100) {
    ++asked;
    EXPECT_EQ(get(tier, {1, 1}), std::nullopt);
  }
  EXPECT_LE(asked, 3);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(get(tier, {1, 1}), std::nullopt);
  EXPECT_FALSE(tier.connected());
  redis.go_on();
  wait_until([&] { return tier.connected(); });
  put(tier, {1, 1}, "again");
  wait_until([&] { return get(tier, {1, 1}).has_value(); });
}

// One that takes longer than a request waits is as good as none, and no probe says otherwise.
TEST(RedisTier, ASlowOneStaysOut) {
  std::atomic<Duration::rep> delay{0};
  const TestPort port([&](int connection) {
    char request[4096];
    while (::read(connection, request, sizeof request) > 0) {
      std::this_thread::sleep_for(Duration(delay));
      if (::send(connection, "+PONG\r\n", 7, MSG_NOSIGNAL) < 0) return;
    }
  });
  RedisTierOptions options = patient(port.address());
  options.timeout = 50ms;
  RedisTier tier(options);
  wait_until([&] { return tier.connected(); });
  delay = Duration(100ms).count();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(get(tier, {1, 1}), std::nullopt);
  EXPECT_FALSE(tier.connected());
  const Time end = Clock::now() + 500ms;
  while (Clock::now() < end) {
    EXPECT_FALSE(tier.connected());
    std::this_thread::sleep_for(5ms);
  }
  delay = 0;
  wait_until([&] { return tier.connected(); });
}

TEST(RedisTier, GarbageIsAnsweredByNobody) {
  const TestPort port([&](int connection) {
    char request[4096];
    while (::read(connection, request, sizeof request) > 0) {
      if (::send(connection, "HTTP/1.1 400 no\r\n\r\n", 19, MSG_NOSIGNAL) < 0) return;
    }
  });
  RedisTier tier(patient(port.address()));
  wait_until([&] { return port.accepted() >= 3; });
  EXPECT_FALSE(tier.connected());
  EXPECT_EQ(get(tier, {1, 1}), std::nullopt);
}

// It says the right thing to a probe, and then something else.
TEST(RedisTier, GarbageInAReplyIsAMiss) {
  const TestPort port([&](int connection) {
    char request[4096];
    for (ssize_t size; (size = ::read(connection, request, sizeof request)) > 0;) {
      const std::string_view said(request, static_cast<std::size_t>(size));
      const bool ping = said.find("PING") != std::string_view::npos;
      const std::string_view words = ping ? "+PONG\r\n" : "*3\r\n:1\r\n!!!!\r\n";
      if (::send(connection, words.data(), words.size(), MSG_NOSIGNAL) < 0) return;
    }
  });
  RedisTier tier(patient(port.address()));
  wait_until([&] { return tier.connected(); });
  EXPECT_EQ(get(tier, {1, 1}), std::nullopt);
}

TEST(RedisTier, TheQueueOfWritesIsBounded) {
  const TestRedis redis;
  RedisTierOptions options = patient(redis.address());
  options.writes_max = 50;
  options.write_bytes_max = 10'000;
  RedisTier tier(options);
  wait_until([&] { return tier.connected(); });
  redis.hang();
  for (std::uint64_t i = 0; i < 200; ++i) put(tier, {8, i}, "small");
  EXPECT_LE(tier.waiting(), 50u);
  for (std::uint64_t i = 0; i < 200; ++i) put(tier, {8, i}, std::string(6'000, 'x'));
  EXPECT_LE(tier.waiting(), 50u);
  redis.go_on();
  put(tier, {8, 999}, std::string(std::size_t{17} << 20, 'x'));
  EXPECT_LE(tier.waiting(), 50u) << "larger than an entry may be";
}

Task<bool> stopped_while_asking(RedisTier* tier) {
  Task<std::optional<Bytes>> asking = with_deadline(tier->get({1, 1}), Clock::now() + 20ms);
  try {
    const std::optional<Bytes> got = co_await std::move(asking);
    co_return false;
  } catch (const Error& error) {
    co_return error.code() == Code::kDeadlineExceeded;
  }
}

TEST(RedisTier, WhoeverIsStoppedLeaves) {
  const TestRedis redis;
  RedisTier tier(patient(redis.address()));
  wait_until([&] { return tier.connected(); });
  redis.hang();
  EXPECT_TRUE(sync_wait(stopped_while_asking(&tier)));
  EXPECT_TRUE(tier.connected()) << "that says nothing about Redis";
  redis.go_on();
}

// The cache over it, as it is served.
class Doubler final : public model::Servable {
 public:
  const std::string& name() const noexcept override { return name_; }
  const std::string& version() const noexcept override { return version_; }
  std::string_view platform() const noexcept override { return "test"; }
  const engine::Signature& signature() const noexcept override { return signature_; }
  const std::vector<std::string>& labels() const noexcept override { return labels_; }
  bool ready() const noexcept override { return true; }
  model::Statistics statistics() const override { return {}; }
  Task<model::InferResponse> infer(model::InferRequest request) override {
    ++runs;
    model::InferResponse response{request.model, version_, request.id, {}, {}};
    const float x = get_tensor(request.inputs, "x").values<float>()[0];
    response.outputs.push_back({"y", Tensor::of<float>({1}, {2 * x})});
    co_return response;
  }

  std::atomic<int> runs{0};

 private:
  const std::string name_ = "doubler";
  const std::string version_ = "1";
  engine::Signature signature_;
  std::vector<std::string> labels_;
};

model::InferRequest ask_for(float x) {
  model::InferRequest request;
  request.model = "doubler";
  request.inputs.push_back({"x", Tensor::of<float>({1}, {x})});
  return request;
}

// One process: a tier of its own and a model.
struct Replica {
  explicit Replica(const TestRedis& redis)
      : tier(new RedisTier(patient(redis.address()))),
        caches({.bytes_max = 1 << 20}, cpu, std::unique_ptr<model::SecondTier>(tier)),
        cache(caches.add("doubler", {.ttl = 1h})) {
    cache.announce("1", "digest");
    model = std::make_shared<model::CachedModel>(inner, cache);
    wait_until([&] { return tier->connected(); });
  }
  ~Replica() { sync_wait(caches.join()); }

  float infer(float x) {
    return get_tensor(sync_wait(model->infer(ask_for(x))).outputs, "y").values<float>()[0];
  }

  ThreadPool cpu{1, "cpu"};
  RedisTier* tier;
  model::ResponseCaches caches;
  model::ModelCache& cache;
  std::shared_ptr<Doubler> inner = std::make_shared<Doubler>();
  std::shared_ptr<model::CachedModel> model;
};

std::string entry_name(float x) {
  const CacheKey scope = model::cache_scope("doubler", "1", "digest");
  return "baozi:c:" + to_string(model::cache_key(scope, ask_for(x)));
}

TEST(CacheOverRedis, AnotherReplicaAnswersWithoutRunning) {
  const TestRedis redis;
  Replica one(redis);
  EXPECT_EQ(one.infer(3), 6);
  wait_until([&] { return redis.ask({"EXISTS", entry_name(3)}).number == 1; });
  Replica other(redis);
  EXPECT_EQ(other.infer(3), 6);
  EXPECT_EQ(other.inner->runs, 0);
  redis.ask({"DEL", entry_name(3)});
  EXPECT_EQ(other.infer(3), 6) << "it has it itself now";
  EXPECT_EQ(other.inner->runs, 0);
}

TEST(CacheOverRedis, AHitWhileTheModelIsAbsent) {
  const TestRedis redis;
  {
    Replica one(redis);
    one.infer(3);
    wait_until([&] { return redis.ask({"EXISTS", entry_name(3)}).number == 1; });
  }
  Replica other(redis);
  const auto kept = sync_wait(other.cache.find(ask_for(3)));
  ASSERT_TRUE(kept);
  EXPECT_TRUE(kept->age);
  EXPECT_EQ(kept->version, "1");
  EXPECT_EQ(kept->model, "doubler");
}

TEST(CacheOverRedis, HotEntriesAreThereAfterAStart) {
  const TestRedis redis;
  {
    Replica one(redis);
    for (int i = 0; i < 30; ++i) one.infer(static_cast<float>(i));
    wait_until([&] { return one.tier->waiting() == 0; });
    wait_until([&] { return redis.ask({"EXISTS", entry_name(29)}).number == 1; });
  }
  Replica other(redis);
  wait_until([&] { return other.caches.memory().counters().entries == 30; });
  redis.ask({"FLUSHALL"});
  EXPECT_EQ(other.infer(7), 14);
  EXPECT_EQ(other.inner->runs, 0);
}

TEST(CacheOverRedis, ADamagedEntryIsAMissAndIsWrittenAnew) {
  const TestRedis redis;
  std::string whole;
  {
    Replica one(redis);
    one.infer(3);
    wait_until([&] { return redis.ask({"EXISTS", entry_name(3)}).number == 1; });
    whole = redis.ask({"GET", entry_name(3)}).text.text();
  }
  redis.ask({"DEL", "baozi:h:" + to_string(model::cache_scope("doubler", "1", "digest"))});
  std::string flipped = whole;
  flipped[flipped.size() / 2] = static_cast<char>(flipped[flipped.size() / 2] ^ 1);
  for (const std::string& damaged : {whole.substr(0, whole.size() / 2), whole.substr(0, 10),
                                     std::string(), flipped, whole + "x", std::string(5000, '?')}) {
    redis.ask({"SET", entry_name(3), damaged});
    Replica other(redis);
    EXPECT_EQ(other.infer(3), 6);
    EXPECT_EQ(other.inner->runs, 1) << damaged.size();
    wait_until([&] { return redis.ask({"GET", entry_name(3)}).text.size() == whole.size(); });
    redis.ask({"DEL", "baozi:h:" + to_string(model::cache_scope("doubler", "1", "digest"))});
  }
}

// Another request's entry under this key is not this request's answer.
TEST(CacheOverRedis, AnEntryUnderAnotherKeyIsNotTaken) {
  const TestRedis redis;
  Replica one(redis);
  one.infer(3);
  wait_until([&] { return redis.ask({"EXISTS", entry_name(3)}).number == 1; });
  redis.ask({"COPY", entry_name(3), entry_name(4)});
  EXPECT_EQ(one.infer(4), 8);
  EXPECT_EQ(one.inner->runs, 2);
}

}  // namespace
}  // namespace baozi::redis
