#include "baozi/base/bytes.h"

#include <cassert>
#include <cstdint>
#include <cstring>
#include <new>

namespace baozi {
namespace {

constexpr std::size_t kAlignment = 64;  // a cache line, and AVX-512's widest load

// One block: this header, then the payload at the next aligned address. Aligned by hand: the C
// library's aligned allocation takes several times as long as its plain one.
class HeapOwner final : public BytesOwner {
 private:
  void dispose() noexcept override {
    this->~HeapOwner();
    ::operator delete(static_cast<void*>(this));
  }
};

class StringOwner final : public BytesOwner {
 public:
  explicit StringOwner(std::string text) : text_(std::move(text)) {}
  std::byte* data() noexcept { return reinterpret_cast<std::byte*>(text_.data()); }
  std::size_t size() const noexcept { return text_.size(); }

 private:
  void dispose() noexcept override { delete this; }
  std::string text_;
};

class HeapAllocator final : public Allocator {
 public:
  Bytes allocate(std::size_t size) override { return Bytes::allocate(size); }
};

}  // namespace

Bytes Bytes::allocate(std::size_t size) {
  constexpr std::size_t kRoom = sizeof(HeapOwner) + kAlignment - 1;
  if (size > SIZE_MAX - kRoom) throw std::bad_alloc();
  auto* const block = static_cast<std::byte*>(::operator new(kRoom + size));
  auto* const owner = new (block) HeapOwner;
  std::byte* const after = block + sizeof(HeapOwner);
  const std::size_t lead = -reinterpret_cast<std::uintptr_t>(after) % kAlignment;
  return Bytes(after + lead, size, owner);
}

Bytes Bytes::copy_of(std::span<const std::byte> bytes) {
  Bytes copy = allocate(bytes.size());
  if (!bytes.empty()) std::memcpy(copy.mutable_data(), bytes.data(), bytes.size());
  return copy;
}

Bytes Bytes::copy_of(std::string_view text) {
  return copy_of(std::as_bytes(std::span(text.data(), text.size())));
}

Bytes Bytes::adopt(std::string text) {
  auto* owner = new StringOwner(std::move(text));
  return Bytes(owner->data(), owner->size(), owner);
}

Bytes Bytes::slice(std::size_t offset, std::size_t size) const noexcept {
  assert(offset <= size_ && size <= size_ - offset);
  if (owner_ != nullptr) owner_->retain();
  return Bytes(data_ + offset, size, owner_);
}

Allocator& heap_allocator() noexcept {
  static HeapAllocator allocator;
  return allocator;
}

}  // namespace baozi
