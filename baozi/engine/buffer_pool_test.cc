#include "baozi/engine/buffer_pool.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>
#include <thread>
#include <vector>

#include "baozi/base/error.h"
#include "baozi/base/tensor.h"
#include "baozi/engine/counting_new.h"

namespace baozi::engine {
namespace {

using ::testing::HasSubstr;

TEST(BufferPool, SizeClassesAddAtMostAQuarterAndStayAligned) {
  for (std::size_t size = 1; size < 300'000; size += 61) {
    const std::size_t block = BufferPool::block_bytes(size);
    ASSERT_GE(block, size);
    ASSERT_EQ(block % 64, 0u) << size;
    ASSERT_LE(block, std::max<std::size_t>(size + 63, size + size / 4 + 1)) << size;
  }
  EXPECT_EQ(BufferPool::block_bytes(0), 64u);
  EXPECT_EQ(BufferPool::block_bytes(257), 320u);
  EXPECT_EQ(BufferPool::block_bytes(1024), 1024u);
  EXPECT_EQ(BufferPool::block_bytes(1025), 1280u);
}

TEST(BufferPool, HandsOutAlignedMemoryOfTheSizeAskedFor) {
  BufferPool pool({});
  for (const std::size_t size : {0u, 1u, 64u, 100u, 5000u, 1u << 20}) {
    Bytes bytes = pool.allocate(size);
    EXPECT_EQ(bytes.size(), size);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(bytes.data()) % 64, 0u);
    std::memset(bytes.mutable_data(), 1, size);
  }
}

TEST(BufferPool, UsesABlockAgainOnceItsLastHolderIsGone) {
  BufferPool pool({});
  Bytes first = pool.allocate(1000);
  const std::byte* const at = first.data();
  Bytes part = first.slice(10, 20);
  first = Bytes();
  EXPECT_NE(pool.allocate(1000).data(), at) << "a slice still holds the block";
  part = Bytes();
  EXPECT_EQ(pool.allocate(1000).data(), at);
}

TEST(BufferPool, AllocatesNothingInSteadyState) {
  BufferPool pool({.bytes_max = 1 << 20, .option = "x", .reserve = {{4096, 4}}});
  const std::size_t before = counting_new::count();
  for (int i = 0; i < 1000; ++i) {
    const Bytes a = pool.allocate(4000);
    const Bytes b = pool.allocate(3600);
    const Bytes c = b;
  }
  const Tensor tensor = Tensor::allocate(DType::kFp32, {10, 100}, pool);
  EXPECT_EQ(counting_new::count() - before, 0u);
  EXPECT_EQ(pool.statistics().system_allocations, 0u);
}

TEST(BufferPool, RefusesAboveItsLimitAndNamesTheOption) {
  BufferPool pool({.bytes_max = 10'000, .option = "engine.buffer_bytes_max", .reserve = {}});
  std::optional<Bytes> first = pool.allocate(8000);
  try {
    pool.allocate(4096);
    FAIL() << "the limit was exceeded";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kResourceExhausted);
    EXPECT_THAT(error.message(), HasSubstr("'engine.buffer_bytes_max'"));
    EXPECT_THAT(error.message(), HasSubstr("4096 bytes"));
  }
  EXPECT_THROW(pool.allocate(SIZE_MAX), Error);
  first.reset();
  EXPECT_NO_THROW(pool.allocate(4096)) << "idle blocks of another size must make room";
  EXPECT_LE(pool.statistics().held_bytes, 10'000u);
}

TEST(BufferPool, RefusesAReserveAboveItsLimit) {
  EXPECT_THROW(BufferPool({.bytes_max = 10'000, .option = "x", .reserve = {{4096, 3}}}), Error);
  EXPECT_THROW(
      BufferPool(
          {.bytes_max = 10'000, .option = "x", .reserve = {{1024, 1}, {SIZE_MAX, SIZE_MAX}}}),
      Error);
}

TEST(BufferPool, TakesItsReserveAtTheStart) {
  BufferPool pool({.bytes_max = 0, .option = "", .reserve = {{1024, 3}}});
  EXPECT_EQ(pool.statistics().held_bytes, 3u * (1024 + 64));
  std::vector<Bytes> blocks;
  for (int i = 0; i < 4; ++i) blocks.push_back(pool.allocate(1024));
  EXPECT_EQ(pool.statistics().system_allocations, 1u) << "the fourth is not in the reserve";
}

TEST(BufferPool, CountsWhatIsInUse) {
  BufferPool pool({});
  {
    const Bytes a = pool.allocate(1024);
    const Bytes b = pool.allocate(1024);
    EXPECT_EQ(pool.statistics().blocks_in_use, 2u);
    EXPECT_EQ(pool.statistics().in_use_bytes, 2u * (1024 + 64));
  }
  const BufferPool::Statistics after = pool.statistics();
  EXPECT_EQ(after.in_use_bytes, 0u);
  EXPECT_EQ(after.in_use_bytes_max, 2u * (1024 + 64));
  EXPECT_EQ(after.allocations, 2u);
}

TEST(BufferPool, BlocksMayOutliveIt) {
  std::optional<BufferPool> pool(
      std::in_place, BufferPool::Options{.bytes_max = 0, .option = "", .reserve = {{64, 2}}});
  Bytes reserved = pool->allocate(64);
  Bytes grown = pool->allocate(5000);
  pool.reset();
  std::memset(reserved.mutable_data(), 1, reserved.size());
  std::memset(grown.mutable_data(), 1, grown.size());
  EXPECT_EQ(reserved.span().back(), std::byte{1});
  EXPECT_EQ(grown.span().back(), std::byte{1});
}

// Blocks are taken by some threads and given back by others; nothing may be handed out twice.
TEST(BufferPool, ServesManyThreads) {
  BufferPool pool({.bytes_max = 64 << 20, .option = "x", .reserve = {}});
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&pool, t] {
      std::vector<Bytes> held(8);
      for (int i = 0; i < 5000; ++i) {
        Bytes bytes = pool.allocate(static_cast<std::size_t>(64 + (i % 7) * 500));
        std::memset(bytes.mutable_data(), t, bytes.size());
        Bytes& slot = held[static_cast<std::size_t>(i) % held.size()];
        for (const std::byte value : slot.span()) ASSERT_EQ(value, static_cast<std::byte>(t));
        slot = std::move(bytes);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(pool.statistics().in_use_bytes, 0u);
}

}  // namespace
}  // namespace baozi::engine
