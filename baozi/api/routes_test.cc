#include "baozi/api/routes.h"

#include <gtest/gtest.h>

#include "baozi/base/error.h"

namespace baozi::api {
namespace {

using net::HttpMethod;

struct Case {
  HttpMethod method;
  std::string_view path;
  Verb verb;
  std::string_view model = "";
  std::string_view version = "";
  std::string_view label = "";
};

TEST(Routes, FindsWhatEachPathMeans) {
  constexpr HttpMethod get = HttpMethod::kGet;
  constexpr HttpMethod post = HttpMethod::kPost;
  const Case cases[] = {
      {get, "/", Verb::kHello},
      {get, "", Verb::kHello},
      {get, "/health", Verb::kHealth},
      {HttpMethod::kHead, "/health", Verb::kHealth},
      {get, "/metrics", Verb::kMetrics},
      {get, "/v2", Verb::kServerMetadata},
      {get, "/v2/", Verb::kServerMetadata},
      {get, "/v2/warmth", Verb::kWarmth},
      {get, "/v2/health/live", Verb::kLive},
      {get, "/v2/health/steer", Verb::kSteer},
      {get, "/v2/health/ready", Verb::kReady},
      {get, "/v2/trace", Verb::kTrace},
      {get, "/v2/models/stats", Verb::kAllStatistics},
      {get, "/v2/models/m", Verb::kModelMetadata, "m"},
      {get, "/v2/models/m/", Verb::kModelMetadata, "m"},
      {get, "/v2/models/m/versions/3", Verb::kModelMetadata, "m", "3"},
      {get, "/v2/models/m/ready", Verb::kModelReady, "m"},
      {get, "/v2/models/m/config", Verb::kModelConfig, "m"},
      {get, "/v2/models/m/versions/3/ready", Verb::kModelReady, "m", "3"},
      {get, "/v2/models/m/stats", Verb::kModelStatistics, "m"},
      {post, "/v2/models/m/infer", Verb::kKserveInfer, "m"},
      {post, "/v2/models/m/versions/3/infer", Verb::kKserveInfer, "m", "3"},
      {post, "/v2/models/a%2Fb%20c/infer", Verb::kKserveInfer, "a/b c"},
      {post, "/v2/models/%6d/versions/%33/infer", Verb::kKserveInfer, "m", "3"},
      {post, "/v2/repository/index", Verb::kRepositoryIndex},
      {post, "/v2/repository/models/m/load", Verb::kRepositoryLoad, "m"},
      {post, "/v2/repository/models/m/unload", Verb::kRepositoryUnload, "m"},
      {get, "/v1/models/m", Verb::kTfStatus, "m"},
      {get, "/v1/models/m/versions/3", Verb::kTfStatus, "m", "3"},
      {get, "/v1/models/m/labels/stable", Verb::kTfStatus, "m", "", "stable"},
      {get, "/v1/models/m/metadata", Verb::kTfMetadata, "m"},
      {get, "/v1/models/m/versions/3/metadata", Verb::kTfMetadata, "m", "3"},
      {post, "/v1/models/m:predict", Verb::kTfPredict, "m"},
      {post, "/v1/models/m/versions/3:classify", Verb::kTfClassify, "m", "3"},
      {post, "/v1/models/m/labels/s:regress", Verb::kTfRegress, "m", "", "s"},
      {get, "/v1/models/a%3Apredict", Verb::kTfStatus, "a:predict"},
      {get, "/v2/models", Verb::kNotFound},
      {get, "/v2/models//infer", Verb::kNotFound},
      {get, "/v2/models/m/versions", Verb::kNotFound},
      {get, "/v2/models/m/trace/setting", Verb::kNotFound},
      {get, "/v2/health", Verb::kNotFound},
      {get, "/v2/a/b/c/d/e/f/g/h/i/j", Verb::kNotFound},
      {get, "/v1/models/m/versions/3/metadata/x", Verb::kNotFound},
      {get, "/v1/models/m:explain", Verb::kNotFound},
      {get, "/v1/models/:predict", Verb::kNotFound},
      {get, "/v1", Verb::kNotFound},
      {get, "/v3", Verb::kNotFound},
      {get, "//", Verb::kNotFound},
  };
  for (const Case& expected : cases) {
    std::string decoded;
    const Route route = find_route(expected.method, expected.path, decoded);
    EXPECT_EQ(route.verb, expected.verb) << expected.path;
    if (route.verb == Verb::kNotFound) continue;
    EXPECT_EQ(route.model, expected.model) << expected.path;
    EXPECT_EQ(route.version, expected.version) << expected.path;
    EXPECT_EQ(route.label, expected.label) << expected.path;
  }
}

TEST(Routes, SaysWhichMethodsArePossible) {
  std::string decoded;
  Route route = find_route(HttpMethod::kGet, "/v2/models/m/infer", decoded);
  EXPECT_EQ(route.verb, Verb::kMethodNotAllowed);
  EXPECT_EQ(route.allow, "POST");
  route = find_route(HttpMethod::kDelete, "/v2/models/m", decoded);
  EXPECT_EQ(route.verb, Verb::kMethodNotAllowed);
  EXPECT_EQ(route.allow, "GET, HEAD");
}

TEST(Routes, RefusesBrokenPercentSigns) {
  for (const char* path : {"/v2/models/%", "/v2/models/%2", "/v2/models/%zz", "/v2/models/a%4"}) {
    std::string decoded;
    EXPECT_THROW(find_route(HttpMethod::kGet, path, decoded), Error) << path;
  }
}

}  // namespace
}  // namespace baozi::api
