#include "baozi/fleet/replica_address.h"

#include <gtest/gtest.h>

#include <string>

#include "baozi/base/error.h"

namespace baozi::fleet {
namespace {

TEST(ReplicaAddress, NamesAndAddressesAreRead) {
  EXPECT_EQ(parse_replica("a-1.b_c:8000"), (ReplicaAddress{"a-1.b_c", 8000, 0}));
  EXPECT_EQ(parse_replica("10.0.0.7:1,agent=65535"), (ReplicaAddress{"10.0.0.7", 1, 65535}));
  EXPECT_EQ(parse_replica("[::1]:8000"), (ReplicaAddress{"::1", 8000, 0}));
  EXPECT_EQ(endpoint(parse_replica("[::1]:8000,agent=2")), "[::1]:8000");
}

TEST(ReplicaAddress, WhatCouldEndAWordOfAConfigurationIsRefused) {
  for (const std::string text : {"",
                                 ":",
                                 "a",
                                 "a:",
                                 ":1",
                                 "a:0",
                                 "a:65536",
                                 "a:-1",
                                 "a:+1",
                                 "a:1 ",
                                 " a:1",
                                 "a b:1",
                                 "a;b:1",
                                 "a{:1",
                                 "a#:1",
                                 "a\n:1",
                                 "a\":1",
                                 "$a:1",
                                 "a\\:1",
                                 "-a:1",
                                 "a-:1",
                                 "a..b:1",
                                 "a.:1",
                                 "1.2.3:1",
                                 "256.1.1.1:1",
                                 "::1:1",
                                 "[::1:1",
                                 "[a]:1",
                                 "[::1;]:1",
                                 "a:1,",
                                 "a:1,agent",
                                 "a:1,agent=",
                                 "a:1,agent=0",
                                 "a:1,agent=1,agent=2",
                                 "a:1,weight=2"})
    EXPECT_THROW(parse_replica(text), Error) << text;
  EXPECT_THROW(parse_replica(std::string("[::1\0;]:1", 10)), Error);
  EXPECT_THROW(parse_replica(std::string(64, 'a') + ":1"), Error);
}

TEST(ReplicaAddress, TheErrorSaysWhatToGive) {
  try {
    parse_replica("a\033[1m");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kInvalidArgument);
    EXPECT_NE(error.message().find("HOST:PORT,agent=PORT"), std::string::npos);
    EXPECT_EQ(error.message().find('\033'), std::string::npos);
  }
}

}  // namespace
}  // namespace baozi::fleet
