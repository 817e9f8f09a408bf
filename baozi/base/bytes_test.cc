#include "baozi/base/bytes.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace baozi {
namespace {

class CountingOwner final : public BytesOwner {
 public:
  explicit CountingOwner(int* disposed) : disposed_(disposed) {}

 private:
  void dispose() noexcept override {
    ++*disposed_;
    delete this;
  }
  int* disposed_;
};

TEST(Bytes, OwnerIsDisposedOnceAfterTheLastHolder) {
  int disposed = 0;
  std::byte memory[4]{};
  {
    Bytes first(memory, 4, new CountingOwner(&disposed));
    Bytes second = first;
    Bytes part = second.slice(1, 2);
    EXPECT_EQ(part.data(), memory + 1);
    first = Bytes();
    second = std::move(part);
    EXPECT_EQ(disposed, 0);
  }
  EXPECT_EQ(disposed, 1);
}

TEST(Bytes, AllocationsAreAlignedToACacheLine) {
  for (std::size_t size : {1u, 63u, 4096u}) {
    const Bytes bytes = Bytes::allocate(size);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(bytes.data()) % 64, 0u);
    EXPECT_EQ(bytes.size(), size);
  }
}

TEST(Bytes, AdoptsAStringWithoutCopying) {
  std::string text(100, 'x');
  const char* before = text.data();
  const Bytes bytes = Bytes::adopt(std::move(text));
  EXPECT_EQ(reinterpret_cast<const char*>(bytes.data()), before);
  EXPECT_EQ(bytes.text(), std::string(100, 'x'));
}

TEST(Bytes, CopyOfNothingIsEmpty) { EXPECT_TRUE(Bytes::copy_of("").empty()); }

}  // namespace
}  // namespace baozi
