#include "baozi/engine/signature.h"

#include <gmock/gmock.h>

#include "baozi/base/error.h"

namespace baozi::engine {
namespace {

TensorSpec spec(std::string name, DType dtype, Shape shape, std::vector<std::string> dims = {}) {
  return {std::move(name), dtype, shape, std::move(dims)};
}

TEST(Signature, FindsTensorsByName) {
  const Signature signature{{spec("a", DType::kFp32, {-1}), spec("b", DType::kFp32, {-1})},
                            {spec("c", DType::kFp32, {-1})}};
  EXPECT_EQ(signature.input_index("b"), 1);
  EXPECT_EQ(signature.output_index("c"), 0);
  EXPECT_EQ(signature.input_index("c"), -1);
}

TEST(Signature, IsBatchableWhenEveryTensorLeadsWithAFreeDimension) {
  Signature signature{{spec("a", DType::kFp32, {-1, 4})}, {spec("b", DType::kFp32, {-1})}};
  EXPECT_TRUE(signature.batchable());
  signature.outputs.push_back(spec("fixed", DType::kFp32, {1, -1}));
  EXPECT_FALSE(signature.batchable());
  signature.outputs.back() = spec("scalar", DType::kFp32, {});
  EXPECT_FALSE(signature.batchable());
  EXPECT_FALSE(Signature{}.batchable());
}

TEST(CheckFits, AcceptsAnySizeWhereTheModelLeavesItOpen) {
  const TensorSpec wanted = spec("x", DType::kFp32, {-1, 2});
  EXPECT_NO_THROW(check_fits(wanted, Tensor::of<float>({1, 2}, {1, 2})));
  EXPECT_NO_THROW(check_fits(wanted, Tensor::of<float>({0, 2}, {})));
}

TEST(CheckFits, SaysWhatIsThereAndWhatIsWanted) {
  const TensorSpec wanted = spec("x", DType::kFp32, {-1, 2}, {"batch", ""});
  try {
    check_fits(wanted, Tensor::of<float>({1, 3}, {1, 2, 3}));
    FAIL() << "a wrong shape was accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kInvalidArgument);
    EXPECT_EQ(error.message(), "tensor 'x' is FP32 [1,3], but the model wants FP32 [batch,2]");
  }
  EXPECT_THROW(check_fits(wanted, Tensor::of<double>({1, 2}, {1, 2})), Error);
  EXPECT_THROW(check_fits(wanted, Tensor::of<float>({2}, {1, 2})), Error);
}

}  // namespace
}  // namespace baozi::engine
