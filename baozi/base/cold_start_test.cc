#include "baozi/base/cold_start.h"

#include <gtest/gtest.h>

namespace baozi::cold_start {
namespace {

TEST(ColdStart, RecordsPhasesAndWhatCameFirst) {
  {
    const Phase phase("load", "m/1");
  }
  ready();
  first_answer();
  const Record first = record();
  ASSERT_FALSE(first.spans.empty());
  EXPECT_EQ(first.spans.back().name, "load");
  EXPECT_EQ(first.spans.back().subject, "m/1");
  EXPECT_LE(first.spans.back().begin, first.spans.back().end);
  EXPECT_LE(first.exec, first.spans.back().begin) << "the process came first";
  EXPECT_GT(first.exec, Clock::now() - std::chrono::hours(1));
  ready();
  first_answer();
  EXPECT_EQ(record().ready, first.ready) << "the first time counts";
  EXPECT_EQ(record().first_answer, first.first_answer);
}

TEST(ColdStart, IsBounded) {
  for (std::size_t i = 0; i < 2 * kSpansMax; ++i) add({"load", "m/1", {}, {}});
  EXPECT_EQ(record().spans.size(), kSpansMax);
}

}  // namespace
}  // namespace baozi::cold_start
