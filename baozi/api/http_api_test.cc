#include "baozi/api/http_api.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "baozi/api/request_headers.h"
#include "baozi/base/error.h"
#include "baozi/coro/sleep.h"
#include "baozi/coro/sync_wait.h"
#include "baozi/coro/thread_pool.h"

namespace baozi::api {
namespace {

using net::HttpMethod;
using ::testing::HasSubstr;

// Gives the input x back as y, after a sleep when asked for one.
class Echo final : public model::Servable {
 public:
  explicit Echo(Duration delay = {}) : delay_(delay) {
    engine::TensorSpec spec;
    spec.name = "x";
    spec.dtype = DType::kFp32;
    spec.shape = {-1, 2};
    signature_.inputs.push_back(spec);
    spec.name = "y";
    signature_.outputs.push_back(spec);
  }
  const std::string& name() const noexcept override { return name_; }
  const std::string& version() const noexcept override { return version_; }
  std::string_view platform() const noexcept override { return "test_echo"; }
  const engine::Signature& signature() const noexcept override { return signature_; }
  const std::vector<std::string>& labels() const noexcept override { return labels_; }
  bool ready() const noexcept override { return true; }
  model::Statistics statistics() const override {
    model::Statistics statistics;
    statistics.inference_count = 11;
    return statistics;
  }
  std::optional<model::Refusal> refusal() const noexcept override {
    if (full) return model::Refusal{"the queue is full", 3};
    return std::nullopt;
  }
  Task<model::InferResponse> infer(model::InferRequest request) override {
    if (delay_ > Duration{}) co_await sleep_for(delay_);
    const Tensor& x = get_tensor(request.inputs, "x");
    model::InferResponse response;
    response.model = request.model;
    response.version = request.version;
    response.id = request.id;
    response.outputs.push_back({"y", x});
    co_return response;
  }

  bool full = false;

 private:
  const Duration delay_;
  const std::string name_ = "echo";
  const std::string version_ = "1";
  const std::vector<std::string> labels_ = {"cat", "dog"};
  engine::Signature signature_;
};

constexpr std::string_view kInfer =
    R"({"id":"7","inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[0.5,2]}]})";

class HttpApiTest : public ::testing::Test {
 protected:
  void serve(Duration delay = {}) {
    echo_ = std::make_shared<Echo>(delay);
    repository_.add(echo_);
  }
  net::HttpResponse call(HttpMethod method, std::string target, std::string_view body = {},
                         std::vector<std::pair<std::string, std::string>> headers = {}) {
    net::HttpRequest request =
        net::make_request(method, std::move(target), std::move(headers), body);
    RequestTrace trace;
    request.trace = &trace;
    return sync_wait(api_.handle(std::move(request)));
  }
  net::HttpResponse get(std::string target) { return call(HttpMethod::kGet, std::move(target)); }
  net::HttpResponse post(std::string target, std::string_view body,
                         std::vector<std::pair<std::string, std::string>> headers = {}) {
    return call(HttpMethod::kPost, std::move(target), body, std::move(headers));
  }
  static std::string header(const net::HttpResponse& response, std::string_view name) {
    for (const net::HttpResponseHeader& each : response.headers) {
      if (each.name == name) return each.value;
    }
    return "";
  }

  model::Repository repository_;
  std::shared_ptr<Echo> echo_;
  HttpApi api_{repository_, {.server_version = "9.9"}};
};

TEST_F(HttpApiTest, AnswersKserveInJson) {
  serve();
  const net::HttpResponse response = post("/v2/models/echo/infer", kInfer);
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.content_type, "application/json");
  EXPECT_EQ(response.body, R"({"id":"7","model_name":"echo","model_version":"1","outputs":[)"
                           R"({"name":"y","datatype":"FP32","shape":[1,2],"data":[0.5,2]}]})");
}

TEST_F(HttpApiTest, AnswersKserveInBinary) {
  serve();
  const std::string json =
      R"({"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","parameters":{"binary_data_size":8}}],)"
      R"("outputs":[{"name":"y","parameters":{"binary_data":true}}]})";
  const net::HttpResponse response =
      post("/v2/models/echo/versions/1/infer", json + std::string("\0\0\0\x3f\0\0\0\x40", 8),
           {{"inference-header-content-length", std::to_string(json.size())}});
  ASSERT_EQ(response.status, 200) << response.body;
  EXPECT_EQ(header(response, kBinaryHeader), std::to_string(response.body.size()));
  ASSERT_EQ(response.segments.size(), 1u);
  EXPECT_EQ(response.segments[0].text(), std::string_view("\0\0\0\x3f\0\0\0\x40", 8));
}

TEST_F(HttpApiTest, TakesABodyWithoutJson) {
  serve();
  const net::HttpResponse response =
      post("/v2/models/echo/infer", std::string(16, '\0'), {{std::string(kBinaryHeader), "0"}});
  EXPECT_THAT(response.body, HasSubstr(R"("shape":[2,2],"parameters":{"binary_data_size":16})"));
  EXPECT_EQ(
      post("/v2/models/echo/infer", std::string(12, '\0'), {{std::string(kBinaryHeader), "0"}})
          .status,
      400);
}

TEST_F(HttpApiTest, AnswersTensorFlowServing) {
  serve();
  EXPECT_EQ(post("/v1/models/echo:predict", R"({"instances":[[1,2],[3,4]]})").body,
            R"({"predictions":[[1.0,2.0],[3.0,4.0]]})");
  EXPECT_EQ(post("/v1/models/echo/versions/1:predict", R"({"inputs":[[1,2]]})").body,
            R"({"outputs":[[1.0,2.0]]})");
  EXPECT_EQ(post("/v1/models/echo:classify", R"({"examples":[{"x":[1,2]}]})").body,
            R"({"results":[[["cat",1.0],["dog",2.0]]]})");
  EXPECT_THAT(get("/v1/models/echo").body, HasSubstr(R"("state":"AVAILABLE")"));
  EXPECT_THAT(get("/v1/models/echo/metadata").body, HasSubstr(R"("dtype":"DT_FLOAT")"));
  EXPECT_EQ(get("/v1/models/echo/versions/8").status, 404);
}

TEST_F(HttpApiTest, DescribesModelsAndServer) {
  serve();
  EXPECT_EQ(get("/v2/models/echo").body,
            R"({"name":"echo","versions":["1"],"platform":"test_echo",)"
            R"("inputs":[{"name":"x","datatype":"FP32","shape":[-1,2]}],)"
            R"("outputs":[{"name":"y","datatype":"FP32","shape":[-1,2]}]})");
  EXPECT_THAT(get("/v2").body, HasSubstr(R"("version":"9.9")"));
  EXPECT_THAT(get("/v2/models/echo/config").body,
              HasSubstr(R"("data_type":"TYPE_FP32","dims":[2])"));
  EXPECT_THAT(get("/v2/models/echo/stats").body, HasSubstr(R"("inference_count":11)"));
  EXPECT_THAT(get("/v2/models/stats").body, HasSubstr(R"("name":"echo")"));
  EXPECT_THAT(post("/v2/repository/index", "").body, HasSubstr(R"("state":"READY")"));
  EXPECT_THAT(get("/").body, HasSubstr("/v2/models/MODEL"));
  EXPECT_EQ(get("/v2/models/echo/ready").status, 200);
  EXPECT_EQ(get("/v2/models/echo/versions/2/ready").status, 404);
}

TEST_F(HttpApiTest, SaysHowFarItIs) {
  EXPECT_EQ(get("/health").status, 503);
  EXPECT_THAT(get("/health").body, HasSubstr(R"("status":"starting")"));
  EXPECT_EQ(get("/v2/health/ready").status, 503);
  EXPECT_EQ(get("/v2/health/live").status, 200);
  EXPECT_THAT(get("/v2/warmth").body, HasSubstr(R"("state":"starting","warmth":0.000)"));
  serve();
  EXPECT_EQ(get("/health").status, 200);
  EXPECT_THAT(get("/health").body, HasSubstr(R"("status":"ready")"));
  EXPECT_EQ(get("/v2/health/ready").body, R"({"ready":true})");
  api_.set_draining();
  EXPECT_THAT(get("/health").body, HasSubstr(R"("status":"draining")"));
  EXPECT_THAT(get("/v2/warmth").body, HasSubstr(R"("state":"draining","warmth":1.000)"));
  EXPECT_EQ(get("/v2/health/ready").status, 503);
}

TEST_F(HttpApiTest, GivesErrorsTheProtocolsShapeAndStatus) {
  serve();
  EXPECT_EQ(post("/v2/models/none/infer", kInfer).status, 404);
  EXPECT_EQ(post("/v2/models/echo/versions/2/infer", kInfer).status, 404);
  EXPECT_EQ(post("/v2/models/echo/infer", "{").status, 400);
  EXPECT_THAT(post("/v2/models/echo/infer", "{").body, testing::StartsWith(R"({"error":")"));
  EXPECT_EQ(post("/v2/models/echo/infer", kInfer, {{std::string(kBinaryHeader), "x"}}).status, 400);
  EXPECT_EQ(post("/v2/models/echo/infer", kInfer, {{"content-encoding", "gzip"}}).status, 400);
  EXPECT_EQ(get("/v2/models/%zz").status, 400);
  const net::HttpResponse method = get("/v2/models/echo/infer");
  EXPECT_EQ(method.status, 405);
  EXPECT_EQ(header(method, "Allow"), "POST");
  const net::HttpResponse unknown = get("/v2/nothing");
  EXPECT_EQ(unknown.status, 404);
  EXPECT_THAT(unknown.body, HasSubstr("GET /v2/health/live"));
  EXPECT_EQ(post("/v2/repository/models/echo/load", "").status, 501);
  EXPECT_EQ(get("/v2/trace?seconds=x").status, 400);
  EXPECT_EQ(get("/v2/trace?seconds=1000").status, 400);
}

TEST_F(HttpApiTest, RefusesWithoutAskingTheModelWhenItIsFull) {
  serve();
  echo_->full = true;
  const net::HttpResponse response = post("/v2/models/echo/infer", kInfer);
  EXPECT_EQ(response.status, 429);
  EXPECT_EQ(response.body, R"({"error":"the queue is full"})");
  EXPECT_EQ(header(response, "Retry-After"), "3");
}

TEST_F(HttpApiTest, EndsRequestsAtTheirDeadline) {
  serve(std::chrono::seconds(30));
  EXPECT_EQ(post("/v2/models/echo/infer", kInfer, {{std::string(kTimeoutHeader), "5"}}).status,
            504);
  std::string body(kInfer);
  body.insert(1, R"("parameters":{"timeout":2000},)");
  EXPECT_EQ(post("/v2/models/echo/infer", body).status, 504);
}

TEST_F(HttpApiTest, TellsTheStagesWhenAsked) {
  serve();
  EXPECT_THAT(post("/v2/models/echo/infer", kInfer, {{std::string(kTimelineHeader), "1"}}).body,
              HasSubstr(R"("timeline":"[{\"stage\":\"parse\",\"start_us\":)"));
  EXPECT_THAT(header(post("/v1/models/echo:predict", R"({"instances":[[1,2]]})",
                          {{std::string(kTimelineHeader), "1"}}),
                     kTimelineHeader),
              HasSubstr(R"([{"stage":"parse")"));
}

TEST_F(HttpApiTest, CountsRequestsByModelProtocolAndOutcome) {
  serve();
  post("/v2/models/echo/infer", kInfer);
  post("/v2/models/echo/infer", "{");
  const std::string text = get("/metrics").body;
  EXPECT_THAT(
      text,
      HasSubstr(R"(baozi_requests_total{code="INVALID_ARGUMENT",model="echo",protocol="kserve"})"));
  EXPECT_THAT(text, HasSubstr(R"(baozi_requests_total{code="OK",model="echo",protocol="kserve"})"));
  EXPECT_THAT(text, HasSubstr("baozi_request_seconds_bucket"));
  EXPECT_THAT(text, HasSubstr(R"(stage="parse")"));
  EXPECT_THAT(text, HasSubstr("baozi_requests_in_flight 0"));
}

TEST_F(HttpApiTest, RecordsATrace) {
  const net::HttpResponse response = get("/v2/trace?seconds=0.01");
  EXPECT_EQ(response.status, 200);
  EXPECT_THAT(response.body, HasSubstr("traceEvents"));
}

TEST_F(HttpApiTest, ParsesLargeBodiesOnTheCpuPool) {
  serve();
  ThreadPool pool(1);
  HttpApi api(repository_, {.server_version = "1", .cpu = &pool});
  std::string body = R"({"inputs":[{"name":"x","shape":[20000,2],"datatype":"FP32","data":[0)";
  for (int i = 1; i < 40000; ++i) body += ",1.5";
  body += "]}]}";
  net::HttpRequest request =
      net::make_request(HttpMethod::kPost, "/v2/models/echo/infer", {}, body);
  const net::HttpResponse response = sync_wait(api.handle(std::move(request)));
  EXPECT_EQ(response.status, 200);
  EXPECT_GT(response.body.size(), 100'000u);
}

class Recorder final : public ModelControl {
 public:
  Task<void> load(std::string name) override {
    calls += "+" + name;
    co_return;
  }
  Task<void> unload(std::string name) override {
    calls += "-" + name;
    co_return;
  }
  std::string calls;
};

TEST_F(HttpApiTest, LoadsAndUnloadsThroughItsControl) {
  Recorder control;
  HttpApi api(repository_, {.server_version = "1", .control = &control});
  for (const char* target : {"/v2/repository/models/m/load", "/v2/repository/models/m/unload"}) {
    net::HttpRequest request = net::make_request(HttpMethod::kPost, target);
    EXPECT_EQ(sync_wait(api.handle(std::move(request))).status, 200);
  }
  EXPECT_EQ(control.calls, "+m-m");
}

}  // namespace
}  // namespace baozi::api
