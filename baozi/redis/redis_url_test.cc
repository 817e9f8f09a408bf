#include "baozi/redis/redis_url.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "baozi/base/error.h"

namespace baozi::redis {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(RedisUrl, ReadsItsParts) {
  EXPECT_EQ(to_string(parse_url("redis://shop")), "shop:6379/0");
  EXPECT_EQ(to_string(parse_url("redis://127.0.0.1:7000/3")), "127.0.0.1:7000/3");
  EXPECT_EQ(to_string(parse_url("redis://[::1]:7000/")), "[::1]:7000/0");
  EXPECT_EQ(to_string(parse_url("redis://[::1]")), "[::1]:6379/0");
  const Address with = parse_url("redis://cook:b%40o%3az@host:1/2");
  EXPECT_EQ(with.user, "cook");
  EXPECT_EQ(with.password, "b@o:z");
  EXPECT_EQ(with.host, "host");
  EXPECT_EQ(with.port, 1);
  EXPECT_EQ(with.database, 2);
  EXPECT_EQ(parse_url("redis://:secret@host").user, "");
  EXPECT_EQ(parse_url("redis://:secret@host").password, "secret");
}

std::string error_of(std::string_view url) {
  try {
    parse_url(url);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kInvalidArgument);
    return error.message();
  }
  return "no error";
}

TEST(RedisUrl, SaysWhatIsWrong) {
  EXPECT_THAT(error_of(""), HasSubstr("redis://"));
  EXPECT_THAT(error_of("localhost:6379"), HasSubstr("does not begin"));
  EXPECT_THAT(error_of("rediss://host"), HasSubstr("TLS"));
  EXPECT_THAT(error_of("redis://"), HasSubstr("no host"));
  EXPECT_THAT(error_of("redis://:6379"), HasSubstr("no host"));
  EXPECT_THAT(error_of("redis://host:0"), HasSubstr("port"));
  EXPECT_THAT(error_of("redis://host:65536"), HasSubstr("port"));
  EXPECT_THAT(error_of("redis://host:"), HasSubstr("port"));
  EXPECT_THAT(error_of("redis://host/x"), HasSubstr("database"));
  EXPECT_THAT(error_of("redis://host/-1"), HasSubstr("database"));
  EXPECT_THAT(error_of("redis://[::1"), HasSubstr("]"));
  EXPECT_THAT(error_of("redis://[::1]x"), HasSubstr("]"));
  EXPECT_THAT(error_of("redis://user@host"), HasSubstr("password"));
  EXPECT_THAT(error_of("redis://:a%4@host"), HasSubstr("%"));
  EXPECT_THAT(error_of("redis://ho st"), HasSubstr("white space"));
}

TEST(RedisUrl, KeepsPasswordsOutOfMessages) {
  EXPECT_THAT(error_of("redis://:secret@host:x"), Not(HasSubstr("secret")));
  EXPECT_EQ(to_string(parse_url("redis://cook:secret@host")), "host:6379/0");
}

}  // namespace
}  // namespace baozi::redis
