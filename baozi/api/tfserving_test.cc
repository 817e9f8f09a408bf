#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "baozi/api/base64.h"
#include "baozi/api/tfserving_format.h"
#include "baozi/api/tfserving_parse.h"
#include "baozi/base/error.h"

namespace baozi::api {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

engine::TensorSpec spec(std::string name, DType dtype, Shape shape) {
  engine::TensorSpec made;
  made.name = std::move(name);
  made.dtype = dtype;
  made.shape = shape;
  return made;
}

const engine::Signature kFloats{{spec("x", DType::kFp32, {-1, -1})}, {}};
const engine::Signature kBytesIn{{spec("image", DType::kBytes, {-1})}, {}};
const engine::Signature kTwo{
    {spec("ids", DType::kInt64, {-1, -1}), spec("name", DType::kBytes, {-1})}, {}};

TfPredict predict(const engine::Signature& signature, std::string_view text) {
  return parse_tf_predict(Bytes::copy_of(text), 0, signature);
}

std::string refusal(const engine::Signature& signature, std::string_view text) {
  try {
    predict(signature, text);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kInvalidArgument);
    return error.message();
  }
  ADD_FAILURE() << "no error for " << text;
  return "";
}

TEST(TfServingParse, ReadsRowsOfTheOnlyInput) {
  const TfPredict call =
      predict(kFloats, R"({"signature_name":"serving_default","instances":[[1,2.5],[3,4]]})");
  EXPECT_TRUE(call.rows);
  EXPECT_EQ(call.row_count, 2u);
  EXPECT_EQ(call.request.inputs[0].tensor.shape(), (Shape{2, 2}));
  EXPECT_THAT(call.request.inputs[0].tensor.values<float>(), ElementsAre(1.f, 2.5f, 3.f, 4.f));
}

TEST(TfServingParse, ReadsNamedRowsAndBase64) {
  const TfPredict call = predict(
      kTwo, R"({"instances":[{"ids":[1,2],"name":"a"},{"name":{"b64":"AP8="},"ids":[3,4]}]})");
  EXPECT_THAT(call.request.inputs[0].tensor.values<std::int64_t>(), ElementsAre(1, 2, 3, 4));
  EXPECT_EQ(call.request.inputs[1].tensor.shape(), (Shape{2}));
  EXPECT_THAT(call.request.inputs[1].tensor.strings(),
              ElementsAre("a", std::string_view("\0\xff", 2)));
  const TfPredict bare = predict(kBytesIn, R"({"instances":[{"b64":"aGk="}, "text"]})");
  EXPECT_THAT(bare.request.inputs[0].tensor.strings(), ElementsAre("hi", "text"));
}

TEST(TfServingParse, ReadsColumns) {
  const TfPredict call = predict(kTwo, R"({"inputs":{"name":["q"],"ids":[[7]]}})");
  EXPECT_FALSE(call.rows);
  EXPECT_THAT(call.request.inputs[0].tensor.values<std::int64_t>(), ElementsAre(7));
  EXPECT_EQ(predict(kFloats, R"({"inputs":[[1],[2],[3]]})").request.inputs[0].tensor.shape(),
            (Shape{3, 1}));
  EXPECT_EQ(predict(kFloats, R"({"inputs":4})").request.inputs[0].tensor.shape(), Shape{});
  EXPECT_THAT(predict(kBytesIn, R"({"inputs":{"b64":"aGk"}})").request.inputs[0].tensor.strings(),
              ElementsAre("hi"));
  EXPECT_EQ(predict(kFloats, R"({"inputs":[[],[]]})").request.inputs[0].tensor.shape(),
            (Shape{2, 0}));
}

TEST(TfServingParse, RefusesWithAReason) {
  EXPECT_THAT(refusal(kFloats, R"({"instances":[[1,2],[3]]})"), HasSubstr("different lengths"));
  EXPECT_THAT(refusal(kFloats, R"({"instances":[[1],2]})"), HasSubstr("different lengths"));
  EXPECT_THAT(refusal(kFloats, R"({"instances":[2,[1]]})"), HasSubstr("different lengths"));
  EXPECT_THAT(refusal(kFloats, R"({"instances":[[[]],[1]]})"), HasSubstr("different lengths"));
  EXPECT_THAT(refusal(kFloats, R"({"instances":[["a"]]})"), HasSubstr("FP32 takes finite numbers"));
  EXPECT_THAT(refusal(kFloats, R"({"instances":[[NaN]]})"), HasSubstr("finite numbers"));
  EXPECT_THAT(refusal(kTwo, R"({"instances":[{"ids":[1.5],"name":"a"}]})"),
              HasSubstr("is 1.5, INT64"));
  EXPECT_THAT(refusal(kTwo, R"({"instances":[{"ids":[1]}]})"),
              HasSubstr("no value for input 'name'"));
  EXPECT_THAT(refusal(kTwo, R"({"instances":[{"ids":[1],"ids":[1],"name":"a"}]})"),
              HasSubstr("twice"));
  EXPECT_THAT(refusal(kTwo, R"({"instances":[{"other":[1]}]})"), HasSubstr("takes [ids, name]"));
  EXPECT_THAT(refusal(kTwo, R"({"instances":[[1]]})"), HasSubstr("[ids, name]"));
  EXPECT_THAT(refusal(kBytesIn, R"({"instances":[{"b64":"a"}]})"), HasSubstr("not base64"));
  EXPECT_THAT(refusal(kBytesIn, R"({"instances":[{"b64":"aG k"}]})"), HasSubstr("character 2"));
  EXPECT_THAT(refusal(kBytesIn, R"({"instances":[{"b64":"aGk=","c":1}]})"),
              HasSubstr("only {\"b64\""));
  EXPECT_THAT(refusal(kBytesIn, R"({"instances":[7]})"), HasSubstr("BYTES takes strings"));
  EXPECT_THAT(refusal(kFloats, R"({"instances":[]})"), HasSubstr("no rows"));
  EXPECT_THAT(refusal(kFloats, R"({})"), HasSubstr("neither 'instances'"));
  EXPECT_THAT(refusal(kFloats, R"({"instances":[1],"inputs":[1]})"), HasSubstr("either"));
  EXPECT_THAT(refusal(kFloats, R"({"signature_name":"x","instances":[1]})"),
              HasSubstr("serving_default"));
  EXPECT_THAT(refusal(kFloats, R"({"inputs":[[[[[[[[[1]]]]]]]]]})"), HasSubstr("deeper than 8"));
  EXPECT_THAT(refusal(kFloats, R"({"instances":[1)"), HasSubstr("not valid JSON"));
}

TEST(TfServingParse, ReadsExamplesWithTheirContext) {
  const auto body = Bytes::copy_of(
      R"({"examples":[{"ids":5},{"ids":6,"name":"own"}],"context":{"name":"shared"}})");
  const TfPredict call = parse_tf_examples(body, 0, kTwo);
  EXPECT_EQ(call.row_count, 2u);
  EXPECT_EQ(call.request.inputs[0].tensor.shape(), (Shape{2, 1}));
  EXPECT_THAT(call.request.inputs[1].tensor.strings(), ElementsAre("shared", "own"));
  EXPECT_THROW(parse_tf_examples(Bytes::copy_of(R"({"examples":[{"ids":5}]})"), 0, kTwo), Error);
  EXPECT_THROW(parse_tf_examples(Bytes::copy_of(R"({"context":{}})"), 0, kTwo), Error);
}

TEST(TfServingParse, BoundsWhatAContextIsRepeatedTo) {
  std::string body =
      R"({"context":{"image":")" + std::string(1 << 20, 'a') + R"("},"examples":[{})";
  for (int i = 0; i < 100; ++i) body += ",{}";
  body += "]}";
  EXPECT_THROW(parse_tf_examples(Bytes::copy_of(body), 0, kBytesIn), Error);
}

model::InferResponse response_of(Tensors outputs) {
  model::InferResponse response;
  response.outputs = std::move(outputs);
  return response;
}

TEST(TfServingFormat, PrintsFloatsWithAPoint) {
  const auto response = response_of(
      {{"y", Tensor::of<float>({2, 3}, {1.f, 2.5f, -0.f, 1e20f, std::nanf(""), -INFINITY})}});
  EXPECT_EQ(format_tf_predictions(response, 2),
            R"({"predictions":[[1.0,2.5,-0.0],[1e+20,NaN,-Infinity]]})");
  EXPECT_EQ(format_tf_outputs(response), R"({"outputs":[[1.0,2.5,-0.0],[1e+20,NaN,-Infinity]]})");
}

TEST(TfServingFormat, NamesSeveralOutputsAndEncodesBytes) {
  const auto response = response_of({{"n", Tensor::of<std::int32_t>({2}, {1, 2})},
                                     {"t", Tensor::of_strings({2}, {"a\"", "\xff"})},
                                     {"raw_bytes", Tensor::of_strings({2}, {"hi", ""})}});
  EXPECT_EQ(format_tf_predictions(response, 2),
            R"({"predictions":[{"n":1,"t":"a\"","raw_bytes":{"b64":"aGk="}},)"
            R"({"n":2,"t":{"b64":"/w=="},"raw_bytes":{"b64":""}}]})");
  EXPECT_EQ(
      format_tf_outputs(response),
      R"({"outputs":{"n":[1,2],"t":["a\"",{"b64":"/w=="}],"raw_bytes":[{"b64":"aGk="},{"b64":""}]}})");
  EXPECT_THROW(format_tf_predictions(response, 3), Error);
}

TEST(TfServingFormat, ClassifiesAndRegresses) {
  const auto scores = response_of({{"p", Tensor::of<float>({1, 2}, {0.25f, 0.75f})}});
  EXPECT_EQ(format_tf_classify(scores, 1, {"cat"}), R"({"results":[[["cat",0.25],["1",0.75]]]})");
  const auto named = response_of({{"classes", Tensor::of_strings({1, 2}, {"a", "b"})},
                                  {"scores", Tensor::of<float>({1, 2}, {1.f, 0.f})}});
  EXPECT_EQ(format_tf_classify(named, 1, {}), R"({"results":[[["a",1.0],["b",0.0]]]})");
  const auto values = response_of({{"y", Tensor::of<double>({2, 1}, {1, 2.5})}});
  EXPECT_EQ(format_tf_regress(values, 2), R"({"results":[1.0,2.5]})");
  EXPECT_THROW(format_tf_regress(scores, 1), Error);
  EXPECT_THROW(format_tf_classify(response_of({{"n", Tensor::of<std::int8_t>({1}, {1})}}), 1, {}),
               Error);
}

TEST(TfServingFormat, WritesTheStatus) {
  const std::vector<model::VersionStatus> versions = {{"m", "1", model::State::kReady, ""},
                                                      {"m", "2", model::State::kFailed, "damaged"}};
  EXPECT_EQ(
      format_tf_status(versions),
      R"({"model_version_status":[{"version":"1","state":"AVAILABLE","status":{"error_code":"OK",)"
      R"("error_message":""}},{"version":"2","state":"END","status":{"error_code":"UNKNOWN",)"
      R"("error_message":"damaged"}}]})");
}

TEST(Base64, GoesThereAndBack) {
  std::string bytes;
  for (int i = 0; i < 300; ++i) {
    EXPECT_EQ(decode_base64(encode_base64(bytes), "it"), bytes);
    bytes += static_cast<char>(i * 7);
  }
  EXPECT_EQ(encode_base64("foob"), "Zm9vYg==");
  EXPECT_THROW(decode_base64("Zg=a", "it"), Error);
}

}  // namespace
}  // namespace baozi::api
