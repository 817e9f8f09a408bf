#include "baozi/base/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "baozi/base/log.h"
#include "baozi/base/metrics.h"

#include <prometheus/counter.h>

namespace baozi {
namespace {

using testing::HasSubstr;

TEST(Error, DescribesWhereItWasThrownAndTheAwaits) {
  Error error(Code::kNotFound, "no such bun");
  error.add_await(std::source_location::current());
  EXPECT_THAT(error.describe(), HasSubstr("NOT_FOUND: no such bun\n  at "));
  EXPECT_THAT(error.describe(), HasSubstr("error_test.cc"));
  for (int i = 0; i < 200; ++i) error.add_await(std::source_location::current());
  EXPECT_EQ(error.async_stack().size(), Error::kAsyncStackMax);
}

TEST(Error, CallersMistakesAreNever500) {
  for (const Code code :
       {Code::kInvalidArgument, Code::kNotFound, Code::kOutOfRange, Code::kFailedPrecondition,
        Code::kResourceExhausted, Code::kPermissionDenied, Code::kUnauthenticated}) {
    EXPECT_GE(http_status(code), 400) << code_name(code);
    EXPECT_LT(http_status(code), 500) << code_name(code);
  }
  EXPECT_EQ(http_status(Code::kUnavailable), 503);
  EXPECT_EQ(http_status(Code::kDeadlineExceeded), 504);
}

TEST(Log, UnknownLevelListsTheKnown) {
  EXPECT_THROW(set_log_level("loud"), Error);
  set_log_level("info");
}

TEST(Metrics, RenderInPrometheusText) {
  metrics::counter("baozi_test_buns_total", "Buns", {{"kind", "pork"}}).Increment(3);
  EXPECT_THAT(metrics::render(), HasSubstr("# TYPE baozi_test_buns_total counter"));
  EXPECT_THAT(metrics::render(), HasSubstr("baozi_test_buns_total{kind=\"pork\"} 3"));
}

}  // namespace
}  // namespace baozi
