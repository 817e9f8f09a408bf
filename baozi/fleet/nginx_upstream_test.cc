#include "baozi/fleet/nginx_upstream.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "baozi/base/error.h"

namespace baozi::fleet {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;
constexpr auto kStarting = ReplicaState::kStarting;
constexpr auto kReady = ReplicaState::kReady;
constexpr auto kDegraded = ReplicaState::kDegraded;
constexpr auto kFailed = ReplicaState::kFailed;
constexpr auto kDraining = ReplicaState::kDraining;
constexpr std::optional<ReplicaState> kNoAnswer;

// One look at replicas a, b, … as the states say.
std::vector<Look> looks(const std::vector<std::optional<ReplicaState>>& states) {
  std::vector<Look> all;
  for (std::size_t i = 0; i < states.size(); ++i) {
    Look& look = all.emplace_back(Look{{fmt::format("10.0.0.{}", i + 1), 8000, 0}, {}});
    if (states[i]) look.warmth = Warmth{.state = *states[i]};
  }
  return all;
}

// "5 1 -": the servers' weights, or that they are down.
std::string weights(const std::string& text) {
  std::string all;
  std::size_t at = 0;
  while ((at = text.find("    server ", at)) != std::string::npos) {
    const std::string line = text.substr(at, text.find('\n', at) - at);
    const std::size_t weight = line.find("weight=");
    all += all.empty() ? "" : " ";
    all += weight == std::string::npos ? '-' : line[weight + 7];
    at += line.size();
  }
  return all;
}

class NginxUpstreamTest : public ::testing::Test {
 protected:
  // Seconds pass; one look each.
  std::string see(const std::vector<std::optional<ReplicaState>>& states) {
    now += 1s;
    steering.see(looks(states));
    if (const std::optional<std::string> text = steering.decide(now)) {
      steering.applied(*text, now);
      ++reloads;
    }
    return weights(steering.in_force().value_or(""));
  }

  Time now{};
  NginxUpstream steering{{}, std::nullopt};
  int reloads = 0;
};

TEST_F(NginxUpstreamTest, IsABlockThatNginxReads) {
  steering.see(looks({kReady, kStarting, kDraining}));
  EXPECT_EQ(steering.render(),
            "# Written by `baozi steer nginx`, and again at each change.\n"
            "upstream baozi {\n"
            "    zone baozi 1m;\n"
            "    least_conn;\n"
            "    server 10.0.0.1:8000 weight=5 max_fails=1 fail_timeout=5s;\n"
            "    server 10.0.0.2:8000 weight=1 max_fails=1 fail_timeout=5s;\n"
            "    server 10.0.0.3:8000 down;\n"
            "    keepalive 32;\n"
            "}\n");
  EXPECT_EQ(steering.summary(), "1 of weight 5, 1 of weight 1, 1 down");
}

TEST_F(NginxUpstreamTest, WeightsFollowTheState) {
  EXPECT_EQ(see({kStarting, kReady, kDegraded, kDraining, kFailed}), "1 5 5 - -");
  EXPECT_EQ(see({kReady, kReady, kDegraded, kDraining, kFailed}), "5 5 5 - -");
  EXPECT_EQ(reloads, 2);
}

TEST_F(NginxUpstreamTest, WhatHasNotChangedIsNotReloaded) {
  for (int i = 0; i < 100; ++i) EXPECT_EQ(see({kReady, kStarting}), "5 1");
  EXPECT_EQ(reloads, 1);
}

TEST_F(NginxUpstreamTest, ANewStartDoesNotReloadWhatIsInForce) {
  steering.see(looks({kReady}));
  const std::string text = steering.render();
  NginxUpstream next({}, text);
  next.see(looks({kReady}));
  EXPECT_EQ(next.decide(now), std::nullopt);
  next.forget();
  EXPECT_EQ(next.decide(now), text);
}

TEST_F(NginxUpstreamTest, OneLostLookIsNotTheEnd) {
  see({kReady, kReady});
  EXPECT_EQ(see({kReady, kNoAnswer}), "5 5");
  EXPECT_EQ(see({kReady, kReady}), "5 5");
  EXPECT_EQ(see({kReady, kNoAnswer}), "5 5");
  EXPECT_EQ(see({kReady, kNoAnswer}), "5 -");
  EXPECT_EQ(reloads, 2);
}

TEST_F(NginxUpstreamTest, WhoWasOutMustAnswerAsOftenToBeInAgain) {
  see({kReady, kReady});
  see({kReady, kNoAnswer});
  see({kReady, kNoAnswer});
  EXPECT_EQ(see({kReady, kReady}), "5 -");
  EXPECT_EQ(see({kReady, kReady}), "5 5");
}

TEST_F(NginxUpstreamTest, WhoAnswersEverySecondLookStaysAsItIs) {
  see({kReady, kReady});
  for (int i = 0; i < 50; ++i) {
    see({kReady, kNoAnswer});
    EXPECT_EQ(see({kReady, kReady}), "5 5");
  }
  see({kReady, kNoAnswer});
  EXPECT_EQ(see({kReady, kNoAnswer}), "5 -");
  for (int i = 0; i < 50; ++i) {
    see({kReady, kReady});
    EXPECT_EQ(see({kReady, kNoAnswer}), "5 -");
  }
  EXPECT_EQ(reloads, 2);
}

TEST_F(NginxUpstreamTest, ANewReplicaIsInWithItsFirstAnswer) {
  see({kReady});
  EXPECT_EQ(see({kReady, kNoAnswer}), "5 -");
  EXPECT_EQ(see({kReady, kStarting}), "5 1");
}

TEST_F(NginxUpstreamTest, OneLostLookIsNotTheEndAtAStartEither) {
  EXPECT_EQ(see({kReady, kNoAnswer}), "");
  EXPECT_EQ(see({kReady, kReady}), "5 5");
  NginxUpstream next({}, "of the start before");
  next.see(looks({kReady, kNoAnswer}));
  EXPECT_FALSE(next.decide(now));
  next.see(looks({kNoAnswer, kNoAnswer}));
  ASSERT_TRUE(next.decide(now));
  EXPECT_EQ(weights(*next.decide(now)), "5 -");
}

TEST_F(NginxUpstreamTest, FiftyThatLeaveAtOnceAreOneReload) {
  std::vector<std::optional<ReplicaState>> states(100, kReady);
  see(states);
  for (std::size_t i = 0; i < 50; ++i) states[i * 2] = kDraining;
  const std::string after = see(states);
  EXPECT_EQ(std::count(after.begin(), after.end(), '-'), 50);
  for (int i = 0; i < 10; ++i) see(states);
  EXPECT_EQ(reloads, 2);
  for (std::size_t i = 0; i < 50; ++i) states[i * 2] = kNoAnswer;  // they have ended
  for (int i = 0; i < 10; ++i) see(states);
  EXPECT_EQ(reloads, 2);
}

TEST_F(NginxUpstreamTest, WhoIsNotNamedAnyMoreIsGone) {
  see({kReady, kReady, kReady});
  EXPECT_EQ(see({kReady}), "5");
  EXPECT_EQ(see({kReady, kNoAnswer}), "5 -");  // it is new: nothing is remembered of it
}

TEST_F(NginxUpstreamTest, AnEmptyListChangesNothing) {
  see({kReady, kReady});
  EXPECT_EQ(see({}), "5 5");
  EXPECT_EQ(reloads, 1);
  NginxUpstream fresh({}, std::nullopt);
  fresh.see({});
  EXPECT_EQ(fresh.render(), "");
  EXPECT_EQ(fresh.decide(now), std::nullopt);
}

TEST_F(NginxUpstreamTest, WhenNobodyIsLeftWhoCannotBeReachedIsTried) {
  see({kReady, kReady, kDraining, kFailed});
  see({kNoAnswer, kNoAnswer, kDraining, kFailed});
  EXPECT_FALSE(steering.last_resort());
  EXPECT_EQ(see({kNoAnswer, kNoAnswer, kDraining, kFailed}), "1 1 - -");
  EXPECT_TRUE(steering.last_resort());
  see({kReady, kNoAnswer, kDraining, kFailed});
  EXPECT_EQ(see({kReady, kNoAnswer, kDraining, kFailed}), "5 - - -");
}

TEST_F(NginxUpstreamTest, WhoSaysThatItLeavesGetsNothingThoughNobodyIsLeft) {
  EXPECT_EQ(see({kDraining, kFailed}), "- -");
}

TEST_F(NginxUpstreamTest, TooSoonIsLater) {
  const std::vector<Look> first = looks({kReady, kReady});
  steering.see(first);
  EXPECT_TRUE(steering.decide(now));
  steering.applied(*steering.decide(now), now);
  steering.see(looks({kReady, kDraining}));
  EXPECT_FALSE(steering.decide(now + 999ms));
  EXPECT_TRUE(steering.decide(now + 1s));
  steering.see(first);  // back before anything was done
  EXPECT_FALSE(steering.decide(now + 1s));
}

TEST_F(NginxUpstreamTest, ARefusalIsTriedAgainLaterAndLater) {
  steering.see(looks({kReady}));
  for (const auto wait : {1s, 2s, 4s, 8s, 16s, 30s, 30s, 30s}) {
    ASSERT_TRUE(steering.decide(now));
    steering.refused(now);
    EXPECT_FALSE(steering.decide(now + wait - 1ms));
    now += wait;
  }
  for (int i = 0; i < 100; ++i) steering.refused(now);
  EXPECT_EQ(steering.not_before(), now + 30s);
  now += 30s;
  steering.applied(*steering.decide(now), now);
  steering.refused(now);
  EXPECT_EQ(steering.not_before(), now + 1s);
}

TEST_F(NginxUpstreamTest, ANameThatMeansSomethingIsRefused) {
  for (const char* name : {"", "a b", "a;", "a{", "$a", "a\n", "ü"})
    EXPECT_THROW(NginxUpstream({.upstream = name}, std::nullopt), Error) << name;
  EXPECT_THROW(NginxUpstream({.upstream = std::string(65, 'a')}, std::nullopt), Error);
}

TEST(NginxExample, IncludesTheFileAndRepeatsWhatFailed) {
  const std::string text = nginx_example("bun", "/tmp/a b.conf");
  EXPECT_THAT(text, HasSubstr("include \"/tmp/a b.conf\";\n"));
  EXPECT_THAT(text, HasSubstr("proxy_pass http://bun;\n"));
  EXPECT_THAT(text,
              HasSubstr("proxy_next_upstream error timeout http_502 http_503 non_idempotent;\n"));
  EXPECT_THAT(text, Not(HasSubstr("{{")));
  for (const char* path : {"", "a\"", "a$b", "a*", "a\n", "a\\"})
    EXPECT_THROW(nginx_example("bun", path), Error) << path;
}

}  // namespace
}  // namespace baozi::fleet
