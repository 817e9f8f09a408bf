#include "baozi/model/cached_response.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string_view>
#include <vector>

#include "baozi/model/cache_record.h"

namespace baozi::model {
namespace {

InferResponse example() {
  InferResponse response;
  response.model = "m";
  response.version = "3";
  response.id = "7";
  response.parameters = {
      {"flag", true}, {"whole", std::int64_t{-5}}, {"real", 0.5}, {"text", std::string("bun")}};
  response.outputs = {
      {"scores", Tensor::of<float>({2, 3}, {1, 2, 3, 4, 5, 6})},
      {"words", Tensor::of_strings({2}, {"", "steam"})},
      {"none", Tensor::of<std::int64_t>({0, 4}, std::initializer_list<std::int64_t>{})}};
  return response;
}

TEST(CachedResponse, ComesBackAsItWas) {
  const Bytes block = encode_response(example(), 0);
  const std::optional<InferResponse> again = decode_response(block);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->version, "3");
  EXPECT_EQ(again->model, "");
  EXPECT_EQ(again->id, "");
  EXPECT_EQ(again->parameters, example().parameters);
  ASSERT_EQ(again->outputs.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(again->outputs[i].name, example().outputs[i].name);
    EXPECT_EQ(again->outputs[i].tensor.dtype(), example().outputs[i].tensor.dtype());
    EXPECT_EQ(again->outputs[i].tensor.shape(), example().outputs[i].tensor.shape());
    EXPECT_EQ(again->outputs[i].tensor.data().text(), example().outputs[i].tensor.data().text());
  }
}

TEST(CachedResponse, SharesTheBlocksMemoryAndIsAligned) {
  const Bytes block = encode_response(example(), kRecordHeadBytes);
  const std::optional<InferResponse> again =
      decode_response(block.slice(kRecordHeadBytes, block.size() - kRecordHeadBytes));
  ASSERT_TRUE(again);
  for (const NamedTensor& output : again->outputs) {
    const Bytes& data = output.tensor.data();
    EXPECT_GE(data.data(), block.data());
    EXPECT_LE(data.data() + data.size(), block.data() + block.size());
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(data.data()) % 64, 0u);
  }
}

// Whatever is cut off or turned round, nothing else happens than that there is no answer, or one
// whose tensors lie within the block.
TEST(CachedResponse, SurvivesDamage) {
  const Bytes block = encode_response(example(), 0);
  EXPECT_FALSE(decode_response(Bytes()));
  for (std::size_t size = 0; size < block.size(); ++size) {
    if (const auto cut = decode_response(block.slice(0, size))) {
      EXPECT_GT(size + 64, block.size());  // only padding is missing
    }
  }
  for (std::size_t at = 0; at < block.size(); ++at) {
    Bytes damaged = Bytes::copy_of(block.span());
    damaged.mutable_data()[at] ^= std::byte{0x81};
    const auto read = decode_response(damaged);
    if (!read) continue;
    for (const NamedTensor& output : read->outputs) {
      EXPECT_GE(output.tensor.data().data(), damaged.data());
      EXPECT_LE(output.tensor.data().data() + output.tensor.data().size(),
                damaged.data() + damaged.size());
    }
  }
}

// Else a small block could hold many large tensors, each of which is looked through.
TEST(CachedResponse, OutputsDoNotShareBytes) {
  InferResponse two;
  const Tensor sixteen = Tensor::of<float>({16}, std::vector<float>(16, 1));
  two.outputs = {{"a", sixteen}, {"b", sixteen}};
  Bytes block = encode_response(two, 0);
  ASSERT_TRUE(decode_response(block));
  const std::uint64_t second[2] = {64, 64};  // its place and its size
  const std::size_t at =
      block.text().find(std::string_view(reinterpret_cast<const char*>(second), sizeof second));
  ASSERT_NE(at, std::string_view::npos);
  block.mutable_data()[at] = std::byte{0};
  EXPECT_FALSE(decode_response(block));
}

TEST(CacheRecord, OpensWhatItSealed) {
  Bytes block = encode_response(example(), kRecordHeadBytes);
  const CacheKey key{1, 2};
  seal_record(block, key, 1000, 2000);
  const std::optional<CacheRecord> record = open_record(block, key);
  ASSERT_TRUE(record);
  EXPECT_EQ(record->stored_ms, 1000);
  EXPECT_EQ(record->expires_ms, 2000);
  EXPECT_TRUE(decode_response(record->answer));
}

TEST(CacheRecord, TakesNoDamagedOneAndNoOthers) {
  Bytes block = encode_response(example(), kRecordHeadBytes);
  const CacheKey key{1, 2};
  seal_record(block, key, 1000, 2000);
  EXPECT_FALSE(open_record(block, CacheKey{2, 1}));
  for (std::size_t size = 0; size < block.size(); ++size)
    EXPECT_FALSE(open_record(block.slice(0, size), key)) << size;
  for (std::size_t at = 0; at < block.size(); ++at) {
    Bytes damaged = Bytes::copy_of(block.span());
    damaged.mutable_data()[at] ^= std::byte{0x10};
    EXPECT_FALSE(open_record(damaged, key)) << at;
  }
  Bytes longer = Bytes::allocate(block.size() + 1);
  std::copy_n(block.data(), block.size(), longer.mutable_data());
  longer.mutable_data()[block.size()] = std::byte{0};
  EXPECT_FALSE(open_record(longer, key));
}

}  // namespace
}  // namespace baozi::model
