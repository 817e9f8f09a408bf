// What balancers are told, and the record behind it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <limits>

#include "baozi/fleet/load_report.h"
#include "baozi/fleet/rate_meter.h"
#include "baozi/fleet/steering.h"
#include "baozi/fleet/warmth.h"

namespace baozi::fleet {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using namespace std::chrono_literals;

Warmth starting(double warmth) { return {.state = ReplicaState::kStarting, .warmth = warmth}; }

TEST(Warmth, IsAJsonObjectWithNullForWhatNobodyKnows) {
  EXPECT_EQ(format_warmth({}), R"({"state":"starting","warmth":0.000,"seconds_left":null,)"
                               R"("queue":0,"in_flight":0,"utilisation":0.000})");
  const Warmth ready{ReplicaState::kReady, 1, 0, 3, 5, 0.8125};
  EXPECT_EQ(format_warmth(ready), R"({"state":"ready","warmth":1.000,"seconds_left":0.00,)"
                                  R"("queue":3,"in_flight":5,"utilisation":0.812})");
}

TEST(Warmth, IsGaugesOfWhichOneStateIsOn) {
  const std::string text = render_warmth({.state = ReplicaState::kDraining, .warmth = 0.5});
  EXPECT_THAT(text, HasSubstr("baozi_warmth 0.5\n"));
  EXPECT_THAT(text, HasSubstr("baozi_state{state=\"draining\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("baozi_state{state=\"ready\"} 0\n"));
  EXPECT_THAT(text, Not(HasSubstr("baozi_seconds_to_ready")));
  EXPECT_THAT(render_warmth({.seconds_left = 2}), HasSubstr("baozi_seconds_to_ready 2\n"));
}

TEST(Steering, AColdReplicaGetsLittleAndAHotOneItsShare) {
  EXPECT_EQ(haproxy_agent_line(steer(starting(0)), 100), "up ready 5% maxconn:2\n");
  EXPECT_EQ(haproxy_agent_line(steer(starting(0.5)), 100), "up ready 15% maxconn:2\n");
  EXPECT_EQ(haproxy_agent_line(steer(starting(1)), 100), "up ready 25% maxconn:2\n");
  EXPECT_EQ(haproxy_agent_line(steer({.state = ReplicaState::kReady}), 100),
            "up ready 100% maxconn:100\n");
  EXPECT_EQ(haproxy_agent_line(steer({.state = ReplicaState::kDegraded}), 100),
            "up ready 100% maxconn:100\n");
}

TEST(Steering, DoesNotTouchALimitThatItCouldNotSayBack) {
  EXPECT_EQ(haproxy_agent_line(steer(starting(0)), 0), "up ready 5%\n");
  EXPECT_EQ(haproxy_agent_line(steer({.state = ReplicaState::kReady}), 0), "up ready 100%\n");
  EXPECT_EQ(haproxy_agent_line(steer(starting(0)), 1), "up ready 5% maxconn:1\n");
}

TEST(Steering, WhoEndsOrFailedGetsNothing) {
  EXPECT_EQ(haproxy_agent_line(steer({.state = ReplicaState::kDraining}), 9), "drain\n");
  EXPECT_EQ(haproxy_agent_line(steer({.state = ReplicaState::kFailed}), 9), "down #load-failed\n");
}

TEST(Steering, AWarmthThatIsNoneIsCold) {
  EXPECT_EQ(steer(starting(std::numeric_limits<double>::quiet_NaN())).percent, 5);
  EXPECT_EQ(steer(starting(-3)).percent, 5);
  EXPECT_EQ(steer(starting(7)).percent, 25);
}

TEST(LoadReport, IsTextOrJsonAsWished) {
  const Warmth warmth{ReplicaState::kReady, 1, 0, 3, 5, 0.25, 41.5, 0.5};
  EXPECT_EQ(format_load_report(report_format("json"), warmth),
            R"(JSON {"application_utilization":0.250,"rps_fractional":41.500,"eps":0.500,)"
            R"("named_metrics":{"warmth":1.000,"queue":3,"in_flight":5}})");
  EXPECT_EQ(format_load_report(report_format("text"), warmth),
            "TEXT application_utilization=0.250,rps_fractional=41.500,eps=0.500,"
            "named_metrics.warmth=1.000,named_metrics.queue=3,named_metrics.in_flight=5");
  for (const char* unknown : {"", "bin", "json;", "\xff"})
    EXPECT_EQ(format_load_report(report_format(unknown), warmth), "");
}

TEST(LoadReport, SaysHowFullALanguageModelsMemoryIsWhereThereIsOne) {
  const Warmth warmth{.state = ReplicaState::kReady, .warmth = 1, .kv_cache = 0.25};
  EXPECT_THAT(format_load_report(ReportFormat::kText, warmth),
              HasSubstr(",named_metrics.kv_cache_utilization=0.250"));
  EXPECT_THAT(format_load_report(ReportFormat::kJson, warmth),
              HasSubstr(R"(,"kv_cache_utilization":0.250}})"));
}

TEST(LoadReport, WhoIsIdleIsNotTakenForOneThatSaysNothing) {
  EXPECT_THAT(format_load_report(ReportFormat::kText, {.state = ReplicaState::kReady, .warmth = 1}),
              HasSubstr("application_utilization=0.010,"));
}

TEST(LoadReport, WhoIsNotHotYetSaysMoreThanBusy) {
  EXPECT_THAT(format_load_report(ReportFormat::kText, starting(0.5)),
              HasSubstr("application_utilization=1.500,"));
}

TEST(RateMeter, IsWhatWasAddedASecondOverTheLastSeconds) {
  const Time start{};
  RateMeter meter;
  EXPECT_EQ(meter.read(start, 10), 0);
  EXPECT_DOUBLE_EQ(meter.read(start + 1s, 11), 1);
  EXPECT_DOUBLE_EQ(meter.read(start + 2s, 14), 2);
  EXPECT_DOUBLE_EQ(meter.read(start + 4s, 14), 0);  // since the reading two seconds ago
}

TEST(RateMeter, DoesNotDependOnHowOftenItIsRead) {
  const Time start{};
  RateMeter meter;
  double last = 0;
  for (int i = 0; i <= 1000; ++i) last = meter.read(start + i * 10ms, i * 0.005);
  EXPECT_NEAR(last, 0.5, 1e-9);
}

TEST(RateMeter, BeginsAnewWhenAClockOrASumStepsBack) {
  const Time start{};
  RateMeter meter;
  meter.read(start + 100s, 50);
  EXPECT_EQ(meter.read(start, 50), 0);
  EXPECT_DOUBLE_EQ(meter.read(start + 1s, 51), 1);
  EXPECT_EQ(meter.read(start + 2s, 0), 0);
}

}  // namespace
}  // namespace baozi::fleet
