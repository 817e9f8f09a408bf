#include "baozi/redis/redis_connection.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <hiredis/hiredis.h>
#include <sys/time.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "baozi/base/error.h"

namespace baozi::redis {
namespace {

using std::chrono::microseconds;

timeval left_until(Time deadline) {
  const auto left = std::chrono::duration_cast<microseconds>(deadline - Clock::now());
  const std::int64_t micros = std::max<std::int64_t>(left.count(), 1);
  return {static_cast<time_t>(micros / 1'000'000), static_cast<suseconds_t>(micros % 1'000'000)};
}

struct FreeReply {
  void operator()(void* reply) const noexcept { freeReplyObject(reply); }
};
using OwnedReply = std::unique_ptr<redisReply, FreeReply>;

Reply reply_from(const redisReply& from) {
  Reply reply;
  switch (from.type) {
    case REDIS_REPLY_STRING:
    case REDIS_REPLY_STATUS:
    case REDIS_REPLY_ERROR:
      reply.kind = from.type == REDIS_REPLY_ERROR ? Reply::Kind::kError : Reply::Kind::kText;
      reply.text = Bytes::copy_of(std::string_view(from.str, static_cast<std::size_t>(from.len)));
      break;
    case REDIS_REPLY_INTEGER:
      reply.kind = Reply::Kind::kNumber;
      reply.number = from.integer;
      break;
    case REDIS_REPLY_ARRAY:
      reply.kind = Reply::Kind::kList;
      for (std::size_t i = 0; i < from.elements; ++i) {
        const redisReply* item = from.element[i];
        if (item != nullptr && item->type == REDIS_REPLY_STRING)
          reply.items.emplace_back(item->str, static_cast<std::size_t>(item->len));
      }
      break;
    default:
      break;
  }
  return reply;
}

}  // namespace

void RedisConnection::Close::operator()(redisContext* context) const noexcept {
  redisFree(context);
}

RedisConnection::RedisConnection(const Address& address, Time deadline)
    : place_(to_string(address)),
      context_(redisConnectWithTimeout(address.host.c_str(), address.port, left_until(deadline))) {
  if (context_ == nullptr) throw Error(Code::kResourceExhausted, "no memory for a connection");
  check(context_->err == 0 ? REDIS_OK : REDIS_ERR);
  ::fcntl(context_->fd, F_SETFD, FD_CLOEXEC);
  std::vector<Command> commands;
  if (!address.password.empty()) {
    commands.push_back({"AUTH"});
    if (!address.user.empty()) commands.back().push_back(address.user);
    commands.back().push_back(address.password);
  }
  const std::string database = std::to_string(address.database);
  if (address.database != 0) commands.push_back({"SELECT", database});
  if (commands.empty()) return;
  for (const Reply& reply : ask(commands, deadline)) {
    if (reply.kind == Reply::Kind::kError)
      throw Error(Code::kUnauthenticated, fmt::format("{}: {}", place_, reply.text.text()));
  }
}

RedisConnection::~RedisConnection() = default;

std::vector<Reply> RedisConnection::ask(const std::vector<Command>& commands, Time deadline) {
  std::vector<const char*> texts;
  std::vector<std::size_t> sizes;
  for (const Command& command : commands) {
    texts.clear();
    sizes.clear();
    for (const std::string_view part : command) {
      texts.push_back(part.data());
      sizes.push_back(part.size());
    }
    check(redisAppendCommandArgv(context_.get(), static_cast<int>(command.size()), texts.data(),
                                 sizes.data()));
  }
  send(deadline);
  std::vector<Reply> replies;
  replies.reserve(commands.size());
  while (replies.size() < commands.size()) replies.push_back(receive(deadline));
  return replies;
}

void RedisConnection::check(int outcome) const {
  if (outcome == REDIS_OK) return;
  const bool late = context_->err == REDIS_ERR_IO &&
                    (errno == EAGAIN || errno == ETIMEDOUT || errno == EINPROGRESS);
  const Code code = late                                  ? Code::kDeadlineExceeded
                    : context_->err == REDIS_ERR_PROTOCOL ? Code::kDataLoss
                                                          : Code::kUnavailable;
  throw Error(code, fmt::format("{}: {}", place_, late ? "no answer in time" : context_->errstr));
}

void RedisConnection::set_timeout(Time deadline) {
  if (Clock::now() >= deadline)
    throw Error(Code::kDeadlineExceeded, fmt::format("{}: no answer in time", place_));
  check(redisSetTimeout(context_.get(), left_until(deadline)));
}

void RedisConnection::send(Time deadline) {
  int done = 0;
  while (done == 0) {
    set_timeout(deadline);
    check(redisBufferWrite(context_.get(), &done));
  }
}

Reply RedisConnection::receive(Time deadline) {
  while (true) {
    void* raw = nullptr;
    check(redisGetReplyFromReader(context_.get(), &raw));
    if (raw != nullptr) return reply_from(*OwnedReply(static_cast<redisReply*>(raw)));
    set_timeout(deadline);
    check(redisBufferRead(context_.get()));
    if (context_->reader->len > kReplyBytesMax) {
      throw Error(Code::kDataLoss,
                  fmt::format("{}: a reply of more than {} bytes", place_, kReplyBytesMax));
    }
  }
}

}  // namespace baozi::redis
