#include "baozi/model/cache_key.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

namespace baozi::model {
namespace {

InferRequest request_of(Tensors inputs) {
  InferRequest request;
  request.inputs = std::move(inputs);
  return request;
}

InferRequest two_inputs() {
  return request_of(
      {{"a", Tensor::of<float>({1, 2}, {1, 2})}, {"b", Tensor::of_strings({2}, {"x", "yz"})}});
}

CacheKey key_of(const InferRequest& request) {
  return cache_key(cache_scope("m", "1", "digest"), request);
}

TEST(CacheKey, IsTheSameForTheSame) {
  EXPECT_EQ(key_of(two_inputs()), key_of(two_inputs()));
  EXPECT_EQ(to_string(key_of(two_inputs())).size(), 32u);
}

TEST(CacheKey, DoesNotDependOnOrder) {
  InferRequest turned = two_inputs();
  std::swap(turned.inputs[0], turned.inputs[1]);
  EXPECT_EQ(key_of(turned), key_of(two_inputs()));
  InferRequest ab = two_inputs();
  ab.outputs = {"p", "q"};
  InferRequest ba = two_inputs();
  ba.outputs = {"q", "p"};
  EXPECT_EQ(key_of(ab), key_of(ba));
}

TEST(CacheKey, DoesNotDependOnWhoWaitsAndHow) {
  InferRequest request = two_inputs();
  request.id = "7";
  request.priority = 3;
  request.model = "alias";
  request.cache = CacheWish::kRefresh;
  EXPECT_EQ(key_of(request), key_of(two_inputs()));
}

TEST(CacheKey, DependsOnAllTheRest) {
  using Change = std::function<void(InferRequest&)>;
  const std::vector<Change> changes = {
      [](auto& r) { r.tenant = "t"; },
      [](auto& r) { r.parameters["k"] = true; },
      [](auto& r) { r.parameters["k"] = std::int64_t{1}; },
      [](auto& r) { r.parameters["k"] = 1.0; },
      [](auto& r) { r.parameters["k"] = std::string("1"); },
      [](auto& r) { r.outputs = {"p"}; },
      [](auto& r) { r.inputs[0].name = "c"; },
      [](auto& r) { r.inputs[0].tensor = Tensor::of<float>({1, 2}, {1, 3}); },
      [](auto& r) { r.inputs[0].tensor = Tensor::of<float>({2, 1}, {1, 2}); },
      [](auto& r) {
        r.inputs[0].tensor = Tensor(DType::kInt32, {1, 2}, r.inputs[0].tensor.data());
      },
      [](auto& r) { r.inputs[1].tensor = Tensor::of_strings({2}, {"xy", "z"}); },
      [](auto& r) { r.inputs.pop_back(); },
  };
  std::vector<CacheKey> keys{key_of(two_inputs())};
  for (const Change& change : changes) {
    InferRequest request = two_inputs();
    change(request);
    keys.push_back(key_of(request));
  }
  keys.push_back(cache_key(cache_scope("n", "1", "digest"), two_inputs()));
  keys.push_back(cache_key(cache_scope("m", "2", "digest"), two_inputs()));
  keys.push_back(cache_key(cache_scope("m", "1", "other"), two_inputs()));
  keys.push_back(cache_key(cache_scope("m1", "", "digest"), two_inputs()));
  for (std::size_t i = 0; i < keys.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) EXPECT_NE(keys[i], keys[j]) << i << " and " << j;
  }
}

TEST(CacheKey, TakesManyInputs) {
  InferRequest request;
  for (int i = 0; i < 100; ++i)
    request.inputs.push_back({"x" + std::to_string(i), Tensor::of<float>({1}, {1})});
  InferRequest turned = request;
  std::ranges::reverse(turned.inputs);
  EXPECT_EQ(key_of(request), key_of(turned));
  turned.inputs[99].name = "y";
  EXPECT_NE(key_of(request), key_of(turned));
}

}  // namespace
}  // namespace baozi::model
