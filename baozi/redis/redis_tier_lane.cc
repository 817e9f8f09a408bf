#include <fmt/format.h>
#include <pthread.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <utility>

#include "baozi/base/error.h"
#include "baozi/base/log.h"
#include "baozi/redis/redis_tier.h"
#include "baozi/redis/redis_tier_parts.h"

namespace baozi::redis {
namespace {

using model::CacheKey;

constexpr std::size_t kWritesAtOnce = 32;
constexpr std::size_t kPullsAtOnce = 4;                 // few: look-ups wait for them
constexpr std::string_view kGroupDaysMs = "604800000";  // a week unused, and the counts are gone

std::string entry_name(const CacheKey& key) { return "baozi:c:" + to_string(key); }
std::string group_name(const CacheKey& group) { return "baozi:h:" + to_string(group); }

std::optional<CacheKey> key_from(std::string_view text) {
  if (text.size() != 32) return std::nullopt;
  CacheKey key;
  const char* middle = text.data() + 16;
  const auto high = std::from_chars(text.data(), middle, key.high, 16);
  const auto low = std::from_chars(middle, middle + 16, key.low, 16);
  if (high.ptr != middle || low.ptr != middle + 16) return std::nullopt;
  return key;
}

// A write to a connection that is gone must not end the process; it is an error of that write.
void ignore_broken_pipes() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

// Commands whose words they own: the texts stay where they are while it grows.
class Script {
 public:
  std::string_view keep(std::string text) { return texts_.emplace_back(std::move(text)); }
  void add(Command command) { commands_.push_back(std::move(command)); }
  const std::vector<Command>& commands() const noexcept { return commands_; }

 private:
  std::deque<std::string> texts_;
  std::vector<Command> commands_;
};

}  // namespace

// Look-ups first, since requests wait for them; then some of what can wait, and then it looks
// again.
void RedisTier::step() noexcept {
  std::vector<std::shared_ptr<Get>> gets;
  std::vector<Write> writes;
  bool probes = false;
  bool pulls = false;
  {
    const std::lock_guard lock(mutex_);
    gets.swap(gets_);
    const bool usable = breaker_.closed() && !closing_;
    for (std::size_t i = 0; usable && i < kWritesAtOnce && !writes_.empty(); ++i) {
      write_bytes_ -= writes_.front().record.size();
      writes.push_back(std::move(writes_.front()));
      writes_.pop_front();
    }
    pulls = usable && !pulls_.empty();
    probes = !closing_ && breaker_.take_probe(Clock::now());
  }
  try {
    if (probes) probe();
    if (!gets.empty()) answer(std::move(gets));
    if (!writes.empty()) carry_out(writes);
    if (pulls) pull_some();
  } catch (const std::exception& error) {
    lost(error.what());
  }
  const std::lock_guard lock(mutex_);
  const bool more = breaker_.closed() && !closing_ && (!writes_.empty() || !pulls_.empty());
  posted_ = false;
  if (more || !gets_.empty()) post_locked();
  arm_locked();
}

// A connection of its own and one PING, which must come back as quickly as a look-up must.
void RedisTier::probe() {
  std::string why;
  try {
    if (connection_ == nullptr) {
      ignore_broken_pipes();
      connection_ =
          std::make_unique<RedisConnection>(options_.address, Clock::now() + options_.io_timeout);
    }
    const std::vector<Command> ping(1, Command(1, "PING"));
    const Time start = Clock::now();
    const std::vector<Reply> replies = connection_->ask(ping, start + options_.io_timeout);
    if (replies.front().kind == Reply::Kind::kError)
      why = fmt::format("it says {}", replies.front().text.text());
    else if (Clock::now() - start > options_.timeout)
      why = fmt::format("it answers, but not within {} ms", options_.timeout.count());
  } catch (const Error& error) {
    why = error.message();
    connection_.reset();
  }
  const std::lock_guard lock(mutex_);
  breaker_.probed(why.empty(), Clock::now());
  if (why.empty()) {
    log().info("redis {}: connected", place_);
    metrics_->up.Set(1);
    told_ = false;
  } else {
    tell_locked(why);
  }
}

std::vector<Reply> RedisTier::ask(const std::vector<Command>& commands) {
  if (connection_ == nullptr) throw Error(Code::kUnavailable, "there is no connection");
  return connection_->ask(commands, Clock::now() + options_.io_timeout);
}

// Whatever went wrong with the connection: it is given up, and so is what waits for it.
void RedisTier::lost(const std::string& why) {
  connection_.reset();
  const std::lock_guard lock(mutex_);
  if (breaker_.broke(Clock::now())) opened_locked(why);
}

void RedisTier::answer(std::vector<std::shared_ptr<Get>> gets) {
  struct Release {
    std::vector<std::shared_ptr<Get>>& gets;
    ~Release() {
      for (const std::shared_ptr<Get>& get : gets) get->done.set();
    }
  };
  const Time now = Clock::now();
  std::erase_if(gets, [now](const auto& get) { return get->deadline <= now; });  // they have left
  if (gets.empty()) return;
  const Release release{gets};
  Script script;
  for (const std::shared_ptr<Get>& get : gets)
    script.add({"GET", script.keep(entry_name(get->key))});
  const std::vector<Reply> replies = ask(script.commands());
  for (std::size_t i = 0; i < gets.size(); ++i) {
    const Reply& reply = replies[i];
    if (reply.kind == Reply::Kind::kText) {
      gets[i]->record = reply.text;
      gets[i]->outcome = Outcome::kHit;
    } else if (reply.kind == Reply::Kind::kNil) {
      gets[i]->outcome = Outcome::kMiss;
    } else if (reply.text.text().starts_with("WRONGTYPE")) {  // somebody else's
      gets[i]->outcome = Outcome::kMiss;
      remove({}, gets[i]->key);
    }
  }
  const std::lock_guard lock(mutex_);
  for (const std::shared_ptr<Get>& get : gets) {
    if (get->outcome == Outcome::kFailed) {
      if (breaker_.failed(now)) opened_locked("it answers with errors");
    } else if (Clock::now() <= get->deadline) {
      breaker_.succeeded();
    }
  }
}

void RedisTier::carry_out(const std::vector<Write>& writes) {
  Script script;
  const std::string_view least = script.keep(std::to_string(-options_.hot_keys_max - 1));
  for (const Write& write : writes) {
    const std::string_view entry = script.keep(entry_name(write.key));
    const std::string_view group = script.keep(group_name(write.group));
    const std::string_view key = entry.substr(entry.size() - 32);
    if (write.kind == Write::Kind::kRemove) {
      script.add({"DEL", entry});
      script.add({"ZREM", group, key});
      continue;
    }
    if (write.kind == Write::Kind::kPut) {
      const std::string_view ttl = script.keep(std::to_string(write.ttl.count()));
      script.add({"SET", entry, write.record.text(), "PX", ttl});
      script.add({"ZREMRANGEBYRANK", group, "0", least});
    }
    script.add({"ZINCRBY", group, script.keep(std::to_string(write.times)), key});
    script.add({"PEXPIRE", group, kGroupDaysMs});
  }
  for (const Reply& reply : ask(script.commands())) {
    if (reply.kind == Reply::Kind::kError) metrics_->dropped.Increment();  // out of memory, say
  }
}

// The group's keys first, then a few entries at a time.
void RedisTier::pull_some() {
  Pull pull;
  {
    const std::lock_guard lock(mutex_);
    pull = std::move(pulls_.front());
    pulls_.pop_front();
  }
  Script script;
  if (!pull.listed) {
    script.add({"ZREVRANGE", script.keep(group_name(pull.group)), "0",
                script.keep(std::to_string(options_.pull_max - 1))});
    const std::vector<Reply> replies = ask(script.commands());
    for (const std::string& item : replies.front().items) {
      if (const std::optional<CacheKey> key = key_from(item)) pull.keys.push_back(*key);
    }
    std::ranges::reverse(pull.keys);
    pull.listed = true;
  } else {
    const std::size_t count = std::min(kPullsAtOnce, pull.keys.size());
    const std::vector<CacheKey> keys(pull.keys.rbegin(),
                                     pull.keys.rbegin() + static_cast<std::ptrdiff_t>(count));
    pull.keys.resize(pull.keys.size() - count);
    for (const CacheKey& key : keys) script.add({"GET", script.keep(entry_name(key))});
    const std::vector<Reply> replies = ask(script.commands());
    for (std::size_t i = 0; i < count; ++i) {
      if (replies[i].kind == Reply::Kind::kNil) remove(pull.group, keys[i]);
      if (replies[i].kind != Reply::Kind::kText) continue;
      const std::size_t size = replies[i].text.size();
      if (size > pull.bytes_left) {
        pull.keys.clear();
        break;
      }
      pull.bytes_left -= size;
      metrics_->pulled.Increment();
      pull.sink(keys[i], replies[i].text);
    }
  }
  if (pull.keys.empty()) return;
  const std::lock_guard lock(mutex_);
  pulls_.push_back(std::move(pull));
}

}  // namespace baozi::redis
