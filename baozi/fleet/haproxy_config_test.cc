#include "baozi/fleet/haproxy_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "baozi/base/error.h"

namespace baozi::fleet {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(HaproxyConfig, EveryReplicaIsAServer) {
  const std::string text = haproxy_config(
      {.replicas = {parse_replica("a:8000,agent=8100"), parse_replica("[::1]:8001")}});
  EXPECT_THAT(text, HasSubstr("server replica1 a:8000 check inter 1s fall 2 rise 1 observe layer7 "
                              "error-limit 1 on-error mark-down weight 100 agent-check agent-port "
                              "8100 agent-inter 1s\n"));
  EXPECT_THAT(text,
              HasSubstr("server replica2 [::1]:8001 check inter 1s fall 2 rise 1 observe layer7 "
                        "error-limit 1 on-error mark-down\n"));
  EXPECT_THAT(text, HasSubstr("retry-on conn-failure empty-response response-timeout 503\n"));
  EXPECT_THAT(text, HasSubstr("if { path /metrics }\n"));
  EXPECT_THAT(text, Not(HasSubstr("slowstart ")));
}

TEST(HaproxyConfig, NoReplicaOrOneTwiceIsRefused) {
  EXPECT_THROW(haproxy_config({}), Error);
  EXPECT_THROW(haproxy_config({.replicas = {parse_replica("a:1"), parse_replica("a:1,agent=2")}}),
               Error);
}

}  // namespace
}  // namespace baozi::fleet
