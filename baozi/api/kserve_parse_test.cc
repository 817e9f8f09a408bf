#include "baozi/api/kserve_parse.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "baozi/base/error.h"

namespace baozi::api {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

KserveInfer parse(std::string_view text) {
  return parse_kserve_infer(Bytes::copy_of(text), std::nullopt, 0);
}

// One input x of `datatype` and `shape` whose data is `data`.
KserveInfer parse_one(std::string_view datatype, std::string_view shape, std::string_view data) {
  return parse(std::string(R"({"inputs":[{"name":"x","datatype":")") + std::string(datatype) +
               R"(","shape":)" + std::string(shape) + R"(,"data":)" + std::string(data) + "}]}");
}

template <class F>
std::string message_of(F&& f) {
  try {
    f();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kInvalidArgument) << error.message();
    return error.message();
  }
  ADD_FAILURE() << "no error";
  return "";
}

std::string refusal(std::string_view datatype, std::string_view shape, std::string_view data) {
  return message_of([&] { parse_one(datatype, shape, data); });
}

KserveInfer parse_binary(std::string_view json, std::string_view binary, std::size_t spare = 0) {
  const Bytes body = Bytes::copy_of(std::string(json) + std::string(binary));
  return parse_kserve_infer(body, json.size(), spare);
}

TEST(KserveParse, ReadsAWholeRequest) {
  const KserveInfer call = parse(R"({
    "id": "42", "unknown": {"deep": [1, {"x": null}]},
    "parameters": {"sequence_id": 7, "priority": 1, "timeout": 2500, "binary_data_output": true,
                   "temperature": 0.5, "user": "\u00e9ve", "timeline": true, "sequence_start": true},
    "inputs": [
      {"name": "a", "shape": [2, 2], "datatype": "FP32", "data": [[1, 2.5], [-3e1, 4]]},
      {"name": "b", "shape": [2], "datatype": "BYTES", "data": ["one", "z\u0000\"w"], "parameters": {"p": 1}}
    ],
    "outputs": [{"name": "y", "parameters": {"binary_data": false}},
                {"name": "z", "parameters": {"classification": 3}}]})");
  EXPECT_EQ(call.request.id, "42");
  ASSERT_EQ(call.request.inputs.size(), 2u);
  EXPECT_EQ(call.request.inputs[0].name, "a");
  EXPECT_EQ(call.request.inputs[0].tensor.shape(), (Shape{2, 2}));
  EXPECT_THAT(call.request.inputs[0].tensor.values<float>(), ElementsAre(1.f, 2.5f, -30.f, 4.f));
  EXPECT_THAT(call.request.inputs[1].tensor.strings(),
              ElementsAre("one", std::string_view("z\0\"w", 4)));
  EXPECT_THAT(call.request.outputs, ElementsAre("y", "z"));
  EXPECT_FALSE(call.wishes.binary(0));
  EXPECT_TRUE(call.wishes.binary(1));
  EXPECT_EQ(call.wishes.classes(0), 0u);
  EXPECT_EQ(call.wishes.classes(1), 3u);
  EXPECT_TRUE(call.wishes.binary(2));
  EXPECT_EQ(call.timeout, std::chrono::microseconds(2500));
  EXPECT_TRUE(call.timeline);
  EXPECT_GT(call.request.priority, 0);
  EXPECT_EQ(std::get<std::int64_t>(call.request.parameters.at("sequence_id")), 7);
  EXPECT_EQ(std::get<double>(call.request.parameters.at("temperature")), 0.5);
  EXPECT_EQ(std::get<std::string>(call.request.parameters.at("user")), "éve");
  EXPECT_TRUE(std::get<bool>(call.request.parameters.at("sequence_start")));
  EXPECT_EQ(call.request.parameters.count("timeout"), 0u);
}

TEST(KserveParse, TakesFieldsInAnyOrder) {
  const KserveInfer call =
      parse(R"({"inputs":[{"data":[[1,2],[3,4]],"datatype":"INT32","shape":[2,2],"name":"x"},
                          {"data":["b"],"name":"y","shape":[1],"datatype":"BYTES"}],"id":"last"})");
  EXPECT_THAT(call.request.inputs[0].tensor.values<std::int32_t>(), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(call.request.inputs[1].tensor.strings(), ElementsAre("b"));
  EXPECT_EQ(call.request.id, "last");
}

TEST(KserveParse, TakesEscapedKeys) {
  EXPECT_EQ(parse(R"({"\u0069d":"q","inputs":[]})").request.id, "q");
}

TEST(KserveParse, ReadsTheLimitsOfEveryType) {
  const auto tensor = [](const KserveInfer& call) { return call.request.inputs[0].tensor; };
  EXPECT_THAT(tensor(parse_one("BOOL", "[4]", "[true,false,1,0]")).values<bool>(),
              ElementsAre(true, false, true, false));
  EXPECT_THAT(tensor(parse_one("UINT8", "[2]", "[0,255]")).values<std::uint8_t>(),
              ElementsAre(0, 255));
  EXPECT_THAT(tensor(parse_one("UINT16", "[1]", "[65535]")).values<std::uint16_t>(),
              ElementsAre(65535));
  EXPECT_THAT(tensor(parse_one("UINT32", "[1]", "[4294967295]")).values<std::uint32_t>(),
              ElementsAre(4294967295u));
  EXPECT_THAT(tensor(parse_one("UINT64", "[1]", "[18446744073709551615]")).values<std::uint64_t>(),
              ElementsAre(UINT64_MAX));
  EXPECT_THAT(tensor(parse_one("INT8", "[2]", "[-128,127]")).values<std::int8_t>(),
              ElementsAre(-128, 127));
  EXPECT_THAT(tensor(parse_one("INT16", "[2]", "[-32768,32767]")).values<std::int16_t>(),
              ElementsAre(-32768, 32767));
  EXPECT_THAT(tensor(parse_one("INT32", "[2]", "[-2147483648,2147483647]")).values<std::int32_t>(),
              ElementsAre(INT32_MIN, INT32_MAX));
  EXPECT_THAT(tensor(parse_one("INT64", "[2]", "[-9223372036854775808,9223372036854775807]"))
                  .values<std::int64_t>(),
              ElementsAre(INT64_MIN, INT64_MAX));
  EXPECT_THAT(tensor(parse_one("FP64", "[2]", "[1.7976931348623157e308,0.1]")).values<double>(),
              ElementsAre(1.7976931348623157e308, 0.1));
  EXPECT_EQ(to_float(tensor(parse_one("FP16", "[1]", "[65504]")).values<Half>()[0]), 65504.f);
  EXPECT_EQ(to_float(tensor(parse_one("BF16", "[1]", "[1.00390625]")).values<BFloat16>()[0]), 1.f);
}

TEST(KserveParse, RefusesNumbersOutOfTheTypesRange) {
  EXPECT_EQ(refusal("UINT8", "[2]", "[1,300]"),
            "input 'x': element 1 is 300, UINT8 takes whole numbers from 0 to 255");
  EXPECT_EQ(
      refusal("INT32", "[1]", "[1.5]"),
      "input 'x': element 0 is 1.5, INT32 takes whole numbers from -2147483648 to 2147483647");
  for (const auto& [type, data] : std::vector<std::pair<const char*, const char*>>{
           {"UINT8", "[-1]"},         {"UINT16", "[65536]"},
           {"UINT32", "[-1]"},        {"UINT32", "[4294967296]"},
           {"UINT64", "[-1]"},        {"UINT64", "[18446744073709551616]"},
           {"INT8", "[128]"},         {"INT16", "[-32769]"},
           {"INT32", "[2147483648]"}, {"INT64", "[9223372036854775808]"},
           {"FP16", "[65520]"},       {"FP16", "[-1e9]"},
           {"BF16", "[3.4e38]"},      {"FP32", "[1e39]"},
           {"FP64", "[1e400]"},       {"BOOL", "[2]"},
           {"BOOL", "[\"true\"]"},    {"FP32", "[\"1\"]"},
           {"FP32", "[null]"},        {"FP32", "[NaN]"},
           {"FP32", "[Infinity]"},    {"FP32", "[-Infinity]"},
           {"FP64", "[nan]"},         {"INT32", "[true]"},
           {"INT32", "[{}]"},         {"INT32", "[01]"},
           {"FP32", "[1.]"},          {"FP32", "[.5]"},
           {"BYTES", "[1]"},          {"INT8", "[\"1\"]"}}) {
    EXPECT_THAT(refusal(type, "[1]", data), HasSubstr("'x'")) << type << data;
  }
}

TEST(KserveParse, NamesBothCountsWhenTheyDiffer) {
  EXPECT_EQ(refusal("FP32", "[2,2]", "[1,2,3]"),
            "input 'x' has 3 elements in 'data', its shape [2,2] needs 4");
  EXPECT_EQ(refusal("FP32", "[1]", "[1,2,3]"),
            "input 'x' has 3 elements in 'data', its shape [1] needs 1");
  EXPECT_EQ(
      refusal("FP32", "[2,2]", "[[1],[2,3,4]]"),
      "input 'x': a list at nesting level 2 of 'data' has 1 elements, the shape [2,2] needs 2");
  EXPECT_EQ(
      refusal("FP32", "[2,2]", "[[1,2]]"),
      "input 'x': a list at nesting level 1 of 'data' has 1 elements, the shape [2,2] needs 2");
  EXPECT_EQ(refusal("FP32", "[2]", "[[1,2]]"),
            "input 'x': element 0 is a list, FP32 takes finite numbers up to 3.4e38");
  EXPECT_EQ(refusal("BYTES", "[3]", R"(["a"])"),
            "input 'x' has 1 elements in 'data', its shape [3] needs 3");
  EXPECT_THAT(refusal("INT8", "[281474976710656]", "[1]"), HasSubstr("needs 281474976710656"));
}

TEST(KserveParse, TakesEmptyAndScalarShapes) {
  EXPECT_EQ(parse_one("FP32", "[0]", "[]").request.inputs[0].tensor.elements(), 0);
  EXPECT_EQ(parse_one("FP32", "[0,3]", "[]").request.inputs[0].tensor.elements(), 0);
  EXPECT_EQ(parse_one("FP32", "[2,0]", "[[],[]]").request.inputs[0].tensor.elements(), 0);
  EXPECT_EQ(parse_one("FP32", "[]", "[5]").request.inputs[0].tensor.elements(), 1);
  EXPECT_EQ(parse_one("FP32", "[2,2,1]", "[[1,2],[3,4]]").request.inputs[0].tensor.elements(), 4);
}

TEST(KserveParse, RefusesBadShapes) {
  EXPECT_THAT(refusal("FP32", "[-1]", "[1]"), HasSubstr("whole numbers from 0 up"));
  EXPECT_THAT(refusal("FP32", "[1.5]", "[1]"), HasSubstr("whole numbers from 0 up"));
  EXPECT_THAT(refusal("FP32", "[4294967296,4294967296]", "[1]"), HasSubstr("2^48"));
  EXPECT_THAT(refusal("FP32", "[1,1,1,1,1,1,1,1,1]", "[1]"), HasSubstr("at most 8 dimensions"));
  EXPECT_THAT(refusal("FP32", "3", "[1]"), HasSubstr("must be a list, it is 3"));
  EXPECT_THAT(refusal("FLOAT", "[1]", "[1]"), HasSubstr("datatype 'FLOAT' is not known"));
}

TEST(KserveParse, RefusesWhatIsNoRequest) {
  for (const char* text :
       {"",
        "null",
        "[]",
        "17",
        "\"x\"",
        "{",
        "{}",
        R"({"inputs":{}})",
        R"({"inputs":[1]})",
        R"({"inputs":[{}]})",
        R"({"inputs":[{"name":"x"}]})",
        R"({"inputs":[]} trailing)",
        R"({"inputs":[]}{})",
        R"({"inputs":[}])",
        R"({"id":7,"inputs":[]})",
        R"({"inputs":[{"name":"x","shape":[1],"datatype":"FP32"}]})",
        R"({"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":[1],"data":[1]}]})",
        R"({"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":{"a":1}}]})",
        R"({"inputs":[],"parameters":{"a":[1]}})",
        R"({"inputs":[],"parameters":{"timeout":-1}})",
        R"({"inputs":[],"outputs":[{"name":"y"},{"name":"y"}]})",
        "{\"id\":\"\xff\",\"inputs\":[]}",
        R"({"inputs":[],"outputs":[{}]})",
        R"({"id":"\ud800","inputs":[]})"}) {
    EXPECT_FALSE(message_of([&] { parse(text); }).empty()) << text;
  }
  EXPECT_EQ(message_of([] {
              parse(R"({"inputs":[{"name":"x","shape":[1],"datatype":"INT8","data":[1]},
                                  {"name":"x","shape":[1],"datatype":"INT8","data":[1]}]})");
            }),
            "input 'x' is given twice");
}

TEST(KserveParse, RefusesSharedMemoryAsNotAvailable) {
  EXPECT_THAT(message_of([] {
                parse(R"({"inputs":[{"name":"x","shape":[1],"datatype":"INT8",
                          "parameters":{"shared_memory_region":"r"}}]})");
              }),
              HasSubstr("shared memory"));
}

TEST(KserveParse, SharesTheBodyForAlignedBinaryInputs) {
  std::string json =
      R"({"inputs":[{"name":"x","shape":[2],"datatype":"FP32","parameters":{"binary_data_size":8}}]})";
  while (json.size() % 8 != 0) json += ' ';
  const float values[] = {1.5f, std::nanf("")};
  const Bytes body =
      Bytes::copy_of(json + std::string(reinterpret_cast<const char*>(values), sizeof values));
  const KserveInfer call = parse_kserve_infer(body, json.size(), 64);
  const Tensor& x = call.request.inputs[0].tensor;
  EXPECT_EQ(x.data().data(), body.data() + json.size());
  EXPECT_EQ(x.values<float>()[0], 1.5f);
  EXPECT_TRUE(std::isnan(x.values<float>()[1]));
}

TEST(KserveParse, CopiesBinaryInputsThatAreNotAligned) {
  std::string json =
      R"({"inputs":[{"name":"x","shape":[1],"datatype":"INT64","parameters":{"binary_data_size":8}}]})";
  while (json.size() % 8 != 3) json += ' ';
  const std::int64_t value = -5;
  const KserveInfer call =
      parse_binary(json, std::string_view(reinterpret_cast<const char*>(&value), sizeof value));
  const Tensor& x = call.request.inputs[0].tensor;
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(x.data().data()) % 8, 0u);
  EXPECT_EQ(x.values<std::int64_t>()[0], -5);
}

TEST(KserveParse, MixesBinaryAndJsonInputs) {
  const std::string json =
      R"({"inputs":[{"name":"a","shape":[2],"datatype":"BYTES","parameters":{"binary_data_size":11}},
                    {"name":"b","shape":[1],"datatype":"INT8","data":[7]},
                    {"name":"c","shape":[3],"datatype":"BOOL","parameters":{"binary_data_size":3}}]})";
  using std::string_literals::operator""s;
  const KserveInfer call = parse_binary(json, "\3\0\0\0a\0b"s + "\0\0\0\0"s + "\1\0\1"s);
  EXPECT_THAT(call.request.inputs[0].tensor.strings(),
              ElementsAre(std::string_view("a\0b", 3), ""));
  EXPECT_THAT(call.request.inputs[1].tensor.values<std::int8_t>(), ElementsAre(7));
  EXPECT_THAT(call.request.inputs[2].tensor.values<bool>(), ElementsAre(true, false, true));
}

std::string binary_refusal(std::string_view datatype, std::string_view shape, int size,
                           std::string_view payload) {
  const std::string json = R"({"inputs":[{"name":"x","shape":)" + std::string(shape) +
                           R"(,"datatype":")" + std::string(datatype) +
                           R"(","parameters":{"binary_data_size":)" + std::to_string(size) + "}}]}";
  return message_of([&] { parse_binary(json, payload); });
}

TEST(KserveParse, RefusesShortLongAndDamagedPayloads) {
  EXPECT_EQ(binary_refusal("FP32", "[2]", 8, "1234"),
            "input 'x': 'binary_data_size' is 8, the body has 4 bytes left");
  EXPECT_EQ(binary_refusal("FP32", "[2]", 4, "1234"),
            "input 'x': 'binary_data_size' is 4, FP32 of shape [2] has 8 bytes");
  EXPECT_THAT(binary_refusal("FP32", "[1]", 4, "12345678"), HasSubstr("add up to 4"));
  EXPECT_THAT(binary_refusal("BOOL", "[1]", 1, "\2"), HasSubstr("0 and 1"));
  EXPECT_THAT(binary_refusal("BYTES", "[1]", 6, std::string_view("\7\0\0\0ab", 6)),
              HasSubstr("input 'x': "));
  EXPECT_THAT(binary_refusal("BYTES", "[2]", 5, std::string_view("\1\0\0\0a", 5)),
              HasSubstr("input 'x': "));
  EXPECT_THAT(binary_refusal("FP32", "[1]", -4, "1234"), HasSubstr("whole number from 0 up"));
  EXPECT_THAT(message_of([] { parse_kserve_infer(Bytes::copy_of("{}"), 3, 0); }),
              HasSubstr("Inference-Header-Content-Length is 3, the body has 2 bytes"));
}

}  // namespace
}  // namespace baozi::api
