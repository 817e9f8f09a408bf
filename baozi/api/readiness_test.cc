#include "baozi/api/readiness.h"

#include <gtest/gtest.h>

#include <chrono>
#include <vector>

namespace baozi::api {
namespace {

using model::State;
using model::VersionStatus;
using std::chrono::milliseconds;

const std::vector<VersionStatus> kIndex = {
    {.name = "a", .version = "1", .state = State::kReady, .progress = 1},
    {.name = "b", .version = "2", .state = State::kLoading, .progress = 0.5, .seconds_left = 2.25},
    {.name = "c", .version = "1", .state = State::kAbsent, .progress = 0.25, .seconds_left = 4},
    {.name = "rare", .version = "1", .state = State::kAbsent, .on_demand = true},
    {.name = "bad", .version = "1", .state = State::kFailed, .reason = "torn"}};

TEST(Readiness, ProgressIsOfAllTheTimeThatOfTheLast) {
  const Progress progress = progress_of(kIndex);
  EXPECT_DOUBLE_EQ(progress.done, (1 + 0.5 + 0.25 + 1 + 1) / 5);
  EXPECT_DOUBLE_EQ(progress.seconds_left, 4);
  EXPECT_EQ(progress.phase, "loading b");
}

TEST(Readiness, NobodyKnowsWhenOneIsNotKnown) {
  std::vector<VersionStatus> index = kIndex;
  index.push_back({.name = "new", .version = "1", .state = State::kWarming});
  EXPECT_LT(progress_of(index).seconds_left, 0);
  EXPECT_EQ(progress_of(index).phase, "warming up new");
  EXPECT_LT(progress_of({}).seconds_left, 0);
}

TEST(Readiness, HealthAsItIsWritten) {
  EXPECT_EQ(
      format_health("starting", std::span(kIndex).subspan(1, 1)),
      R"({"status":"starting","phase":"loading b","progress":0.500,"seconds_left":2.25,"models":[)"
      R"({"name":"b","version":"2","state":"LOADING","reason":"","progress":0.500,)"
      R"("seconds_left":2.25}]})");
  EXPECT_EQ(format_health("ready", std::span(kIndex).first(1)),
            R"({"status":"ready","progress":1.000,"seconds_left":0.00,"models":[)"
            R"({"name":"a","version":"1","state":"READY","reason":"","progress":1.000,)"
            R"("seconds_left":0.00}]})");
}

TEST(Readiness, StagesAsTheyAreWritten) {
  EXPECT_EQ(format_stages(false, std::span(kIndex).subspan(1, 2)),
            R"({"ready":false,"residual_delay_s":4.00,"stages":[)"
            R"({"name":"b/2","state":"LOADING","progress":0.500,"residual_delay_s":2.25},)"
            R"({"name":"c/1","state":"ABSENT","progress":0.250,"residual_delay_s":4.00}]})");
}

TEST(Readiness, TheColdStartByItsBeginnings) {
  const Time exec{};
  cold_start::Record record{.exec = exec, .spans = {}};
  record.spans.push_back({"load", "b/1", exec + milliseconds(20), exec + milliseconds(50)});
  record.spans.push_back({"config", "", exec + milliseconds(2), exec + milliseconds(3)});
  record.ready = exec + milliseconds(51);
  EXPECT_EQ(format_cold_start(record),
            R"({"ready_ms":51.000,"first_answer_ms":null,"phases":[)"
            R"({"name":"config","subject":"","start_ms":2.000,"end_ms":3.000},)"
            R"({"name":"load","subject":"b/1","start_ms":20.000,"end_ms":50.000}]})");
  record.spans.push_back({"load", "b/1", exec + milliseconds(70), exec + milliseconds(90)});
  const std::string text = render_cold_start(record);
  EXPECT_NE(text.find(R"(baozi_start_phase_seconds{phase="load",subject="b/1"} 0.03)"),
            std::string::npos)
      << text;
  EXPECT_EQ(text.find("0.02"), std::string::npos) << "the first of its name counts";
  EXPECT_NE(text.find("baozi_start_ready_seconds 0.051"), std::string::npos) << text;
  EXPECT_EQ(text.find("first_answer"), std::string::npos) << "there was none yet";
}

}  // namespace
}  // namespace baozi::api
