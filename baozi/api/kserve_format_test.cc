#include "baozi/api/kserve_format.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

#include "baozi/api/kserve_metadata.h"

namespace baozi::api {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

model::InferResponse response_of(Tensor tensor) {
  model::InferResponse response;
  response.model = "m";
  response.version = "1";
  response.outputs.push_back({"y", std::move(tensor)});
  return response;
}

std::string json_of(Tensor tensor) {
  return format_kserve_infer(response_of(std::move(tensor)), {}, {}).json;
}

TEST(KserveFormat, WritesAResponseAsTritonDoes) {
  model::InferResponse response = response_of(Tensor::of<float>({1, 3}, {0.1f, -2.f, 1e20f}));
  response.id = "a\"b\n";
  response.parameters = {
      {"flag", true}, {"n", std::int64_t{-3}}, {"s", std::string("é")}, {"x", 0.5}};
  response.outputs.push_back({"b", Tensor::of<bool>({2}, {true, false})});
  EXPECT_EQ(format_kserve_infer(response, {}, {}).json,
            R"({"id":"a\"b\n","model_name":"m","model_version":"1",)"
            R"("parameters":{"flag":true,"n":-3,"s":"é","x":0.5},"outputs":[)"
            R"({"name":"y","datatype":"FP32","shape":[1,3],"data":[0.1,-2,1e+20]},)"
            R"({"name":"b","datatype":"BOOL","shape":[2],"data":[true,false]}]})");
}

TEST(KserveFormat, SendsBinaryOutputsBehindTheJson) {
  model::InferResponse response = response_of(Tensor::of<float>({2}, {1.f, std::nanf("")}));
  response.outputs.push_back({"z", Tensor::of<std::int8_t>({1}, {7})});
  OutputWishes wishes;
  wishes.outputs.push_back({true, 0});
  const KserveReply reply = format_kserve_infer(response, wishes, {});
  EXPECT_THAT(reply.json, HasSubstr(R"("shape":[2],"parameters":{"binary_data_size":8}})"));
  EXPECT_THAT(reply.json, HasSubstr(R"("shape":[1],"data":[7]})"));
  ASSERT_EQ(reply.tensors.size(), 1u);
  EXPECT_EQ(reply.tensors[0].data(), response.outputs[0].tensor.data().data());
}

TEST(KserveFormat, EscapesWhatJsonWantsEscaped) {
  EXPECT_THAT(json_of(Tensor::of_strings({2}, {std::string_view("\0\x1f\"\\/\t", 6), "日本"})),
              HasSubstr(R"("data":["\u0000\u001f\"\\/\t","日本"])"));
}

TEST(KserveFormat, SaysWhatJsonCannotCarryAndTheWayOut) {
  for (const Tensor& tensor :
       {Tensor::of<float>({1}, {std::nanf("")}), Tensor::of<double>({1}, {INFINITY}),
        Tensor::of<Half>({1}, {Half{0x7c00}}), Tensor::of_strings({1}, {"\xff"})}) {
    try {
      json_of(tensor);
      ADD_FAILURE() << "no error for " << dtype_name(tensor.dtype());
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kFailedPrecondition);
      EXPECT_THAT(error.message(), HasSubstr(R"("binary_data":true)"));
    }
  }
}

TEST(KserveFormat, RanksClassesAsTritonsExtension) {
  const std::vector<std::string> labels = {"cat", "dog"};
  OutputWishes wishes;
  wishes.outputs.push_back({std::nullopt, 2});
  const model::InferResponse response =
      response_of(Tensor::of<float>({2, 3}, {0.25f, 0.5f, 0.5f, 3.f, std::nanf(""), -1.f}));
  EXPECT_THAT(format_kserve_infer(response, wishes, {&labels, true}).json,
              HasSubstr(R"("datatype":"BYTES","shape":[2,2],"data":)"
                        R"(["0.500000:1:dog","0.500000:2","3.000000:0:cat","-1.000000:2"])"));
  EXPECT_THAT(format_kserve_infer(response, wishes, {nullptr, false}).json,
              HasSubstr(R"("shape":[2],"data":["3.000000:3","0.500000:1"])"));
  const model::InferResponse whole = response_of(Tensor::of<std::int32_t>({3}, {1, 5, 2}));
  EXPECT_THAT(format_kserve_infer(whole, wishes, {}).json, HasSubstr(R"(["5:1","2:2"])"));
}

TEST(KserveFormat, ErrorsStayValidJsonWhateverTheMessage) {
  EXPECT_EQ(format_error("no \"x\" \xff\xc3"),
            "{\"error\":\"no \\\"x\\\" \xef\xbf\xbd\xef\xbf\xbd\"}");
}

// What was written as a response reads back as a request with the same bits.
Tensor there_and_back(const Tensor& tensor) {
  const std::string text = json_of(tensor);
  const std::string body = "{\"inputs\":" + text.substr(text.find("\"outputs\":") +
                                                        std::string_view("\"outputs\":").size());
  return parse_kserve_infer(Bytes::copy_of(body), std::nullopt, 0).request.inputs[0].tensor;
}

template <class T>
bool writable(T value) {
  if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>)
    return std::isfinite(to_float(value));
  else if constexpr (std::is_floating_point_v<T>)
    return std::isfinite(value);
  else
    return true;
}

template <class T>
class KserveRoundTrip : public ::testing::Test {};
using ElementTypes =
    ::testing::Types<bool, std::uint8_t, std::uint16_t, std::uint32_t, std::uint64_t, std::int8_t,
                     std::int16_t, std::int32_t, std::int64_t, Half, BFloat16, float, double>;
TYPED_TEST_SUITE(KserveRoundTrip, ElementTypes);

TYPED_TEST(KserveRoundTrip, KeepsEveryBitOfRandomValues) {
  std::mt19937_64 random(20240607);
  for (int round = 0; round < 20; ++round) {
    const std::int64_t rows = static_cast<std::int64_t>(random() % 9);
    Tensor tensor = Tensor::allocate(dtype_of<TypeParam>(), {rows, 37});
    for (TypeParam& value : tensor.template mutable_values<TypeParam>()) {
      do {
        const std::uint64_t bits = random();
        if constexpr (std::is_same_v<TypeParam, bool>)
          value = bits % 2 == 1;
        else
          std::memcpy(&value, &bits, sizeof value);
      } while (!writable(value));
    }
    const Tensor back = there_and_back(tensor);
    ASSERT_EQ(back.dtype(), tensor.dtype());
    ASSERT_EQ(back.shape(), tensor.shape());
    ASSERT_EQ(back.data().text(), tensor.data().text());
  }
}

TEST(KserveRoundTrip, KeepsEveryByteOfText) {
  std::string every;
  for (int c = 0; c < 0x80; ++c) every += static_cast<char>(c);
  const Tensor tensor = Tensor::of_strings({2, 2}, {every, "", "\xf0\x9f\xa5\x9f", "plain"});
  EXPECT_THAT(there_and_back(tensor).strings(),
              ElementsAre(every, "", "\xf0\x9f\xa5\x9f", "plain"));
}

TEST(KserveMetadata, WritesStatisticsAndIndex) {
  model::Statistics statistics;
  statistics.inference_count = 3;
  statistics.execution_count = 2;
  statistics.success = {3, 900};
  statistics.batches.push_back({2, {1, 10}, {1, 20}, {1, 30}});
  const std::vector<ModelStatistics> models = {{"m", "1", statistics}};
  const std::string zero = R"({"count":0,"ns":0})";
  EXPECT_EQ(format_statistics(models),
            R"({"model_stats":[{"name":"m","version":"1","last_inference":0,"inference_count":3,)"
            R"("execution_count":2,"inference_stats":{"success":{"count":3,"ns":900},"fail":)" +
                zero + R"(,"queue":)" + zero + R"(,"compute_input":)" + zero +
                R"(,"compute_infer":)" + zero + R"(,"compute_output":)" + zero +
                R"(,"cache_hit":)" + zero + R"(,"cache_miss":)" + zero +
                R"(},"batch_stats":[{"batch_size":2,"compute_input":{"count":1,"ns":10},)"
                R"("compute_infer":{"count":1,"ns":20},"compute_output":{"count":1,"ns":30}}]}]})");
  const std::vector<model::VersionStatus> index = {{"a", "1", model::State::kReady, ""},
                                                   {"b", "2", model::State::kFailed, "bad file"},
                                                   {"c", "1", model::State::kWarming, ""}};
  EXPECT_EQ(format_repository_index(index, false),
            R"([{"name":"a","version":"1","state":"READY","reason":""},)"
            R"({"name":"b","version":"2","state":"UNAVAILABLE","reason":"bad file"},)"
            R"({"name":"c","version":"1","state":"LOADING","reason":""}])");
  EXPECT_EQ(format_repository_index(index, true),
            R"([{"name":"a","version":"1","state":"READY","reason":""}])");
  EXPECT_FALSE(parse_index_ready_only(""));
  EXPECT_FALSE(parse_index_ready_only(R"({"other":1})"));
  EXPECT_TRUE(parse_index_ready_only(R"({"ready":true})"));
  EXPECT_THROW(parse_index_ready_only("[]"), Error);
}

}  // namespace
}  // namespace baozi::api
