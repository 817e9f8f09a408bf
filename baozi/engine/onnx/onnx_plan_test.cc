#include "baozi/engine/onnx/onnx_plan.h"

#include <gmock/gmock.h>

#include "baozi/engine/prepared_record.h"

namespace baozi::engine {
namespace {

OnnxPlan example() {
  OnnxPlan plan;
  plan.parts = 4;
  plan.signature.inputs = {{"an image", DType::kFp32, {-1, 3, 224}, {"batch size", "", ""}},
                           {"100%", DType::kBytes, {}}};
  plan.signature.outputs = {{"y", DType::kInt64, {-1}, {"batch size"}}};
  plan.metadata = {{"character", "a\nb c%"}, {"empty", ""}};
  plan.reads = {{0, 4096}, {8192, 1}};
  return plan;
}

TEST(OnnxPlan, WhatIsReadIsWhatWasWritten) {
  const OnnxPlan plan = example();
  const std::optional<OnnxPlan> read = parse_plan(format_plan(plan));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->parts, 4);
  ASSERT_EQ(read->signature.inputs.size(), 2u);
  EXPECT_EQ(read->signature.inputs[0].name, "an image");
  EXPECT_EQ(read->signature.inputs[0].shape, plan.signature.inputs[0].shape);
  EXPECT_EQ(read->signature.inputs[0].dim_names, plan.signature.inputs[0].dim_names);
  EXPECT_EQ(read->signature.inputs[1].name, "100%");
  EXPECT_EQ(read->signature.inputs[1].shape.rank(), 0u);
  EXPECT_EQ(read->signature.outputs[0].dtype, DType::kInt64);
  EXPECT_EQ(read->metadata, plan.metadata);
  EXPECT_EQ(read->reads, plan.reads);
  EXPECT_EQ(format_plan(*read), format_plan(plan));
}

TEST(OnnxPlan, WhatIsNotWholeIsNone) {
  const std::string text = format_plan(example());
  for (std::size_t size = 0; size < text.size(); ++size)
    EXPECT_FALSE(parse_plan(text.substr(0, size))) << size;
  std::string changed = text;
  changed[changed.find("4096")] = '5';
  EXPECT_FALSE(parse_plan(changed));
}

TEST(OnnxPlan, NonsenseUnderARightChecksumIsRefused) {
  const auto with = [](const char* word, const char* rest) {
    return seal({{"baozi-plan", "1"}, {word, rest}});
  };
  EXPECT_TRUE(parse_plan(with("parts", "64")));
  for (const char* parts : {"0", "-1", "65", "", "four", "4 "})
    EXPECT_FALSE(parse_plan(with("parts", parts))) << parts;
  EXPECT_TRUE(parse_plan(with("input", "FP32 x -1:n 3")));
  for (const char* spec : {"", "FP31 x", "FP32 x -2", "FP32 x 1:%g0", "FP32 %2 1", "FP32 x one",
                           "FP32 x 1 1 1 1 1 1 1 1 1"})
    EXPECT_FALSE(parse_plan(with("input", spec))) << spec;
  EXPECT_FALSE(parse_plan(with("read", "1")));
  EXPECT_FALSE(parse_plan(with("read", "-1 2")));
  EXPECT_FALSE(parse_plan(seal({{"baozi-plan", "2"}})));
}

}  // namespace
}  // namespace baozi::engine
