// RedisConnection: commands to one Redis and their replies, over hiredis. It blocks, but never
// beyond the deadline it is given, whatever the other side sends or does not send. After an error
// it is of no more use.
//
// Thread safety: by one thread, which the caller has made deaf to SIGPIPE.
//
//   RedisConnection redis(address, Clock::now() + 100ms);
//   std::vector<Reply> replies = redis.ask({{"GET", "key"}, {"PING"}}, Clock::now() + 10ms);
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "baozi/base/bytes.h"
#include "baozi/base/clock.h"
#include "baozi/redis/redis_url.h"

struct redisContext;

namespace baozi::redis {

struct Reply {
  enum class Kind { kNil, kText, kNumber, kList, kError };
  Kind kind = Kind::kNil;
  Bytes text;                      // of kText and kError
  std::int64_t number = 0;         // of kNumber
  std::vector<std::string> items;  // of kList: the texts in it
};

// Its name, then its arguments; binary.
using Command = std::vector<std::string_view>;

class RedisConnection {
 public:
  // Replies may take so much together. Less than any garbage can make hiredis believe in.
  static constexpr std::size_t kReplyBytesMax = std::size_t{64} << 20;

  // Connects, gives the password and chooses the database. Errors: kUnavailable,
  // kDeadlineExceeded, kUnauthenticated.
  RedisConnection(const Address& address, Time deadline);
  ~RedisConnection();

  // All in one round trip; a reply for each. Errors: kUnavailable (connection lost),
  // kDeadlineExceeded, kDataLoss (what came is not Redis's protocol).
  std::vector<Reply> ask(const std::vector<Command>& commands, Time deadline);

 private:
  struct Close {
    void operator()(redisContext* context) const noexcept;
  };

  void check(int outcome) const;
  void set_timeout(Time deadline);
  void send(Time deadline);
  Reply receive(Time deadline);

  const std::string place_;  // for messages
  std::unique_ptr<redisContext, Close> context_;
};

}  // namespace baozi::redis
