// Bytes: a shared reference to a run of memory, whoever owns it: a heap block, a pool block, a
// socket's body, a mapped file. Copying shares, nothing is copied. Allocator: where tensors get
// their memory from.
//
// Thread safety: the reference count is atomic. The memory itself is written only while one holder
// knows of it; after that it is read-only by convention.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace baozi {

// Keeps memory alive. Starts with one reference, which the Bytes made from it adopts.
class BytesOwner {
 public:
  BytesOwner(const BytesOwner&) = delete;
  BytesOwner& operator=(const BytesOwner&) = delete;

  void retain() noexcept { refs_.fetch_add(1, std::memory_order_relaxed); }
  void release() noexcept {
    if (refs_.fetch_sub(1, std::memory_order_acq_rel) == 1) dispose();
  }
  std::uint32_t use_count() const noexcept { return refs_.load(std::memory_order_relaxed); }

 protected:
  BytesOwner() = default;
  ~BytesOwner() = default;
  // For owners that are reused (pool blocks): back to one reference.
  void reset_refs() noexcept { refs_.store(1, std::memory_order_relaxed); }

 private:
  // The last reference is gone: free the memory or hand it back to its pool.
  virtual void dispose() noexcept = 0;

  std::atomic<std::uint32_t> refs_{1};
};

class Bytes {
 public:
  Bytes() = default;
  // Adopts one reference of `owner`. A null owner means that the memory outlives every holder
  // (static data).
  Bytes(std::byte* data, std::size_t size, BytesOwner* owner) noexcept
      : data_(data), size_(size), owner_(owner) {}
  Bytes(const Bytes& other) noexcept
      : data_(other.data_), size_(other.size_), owner_(other.owner_) {
    if (owner_ != nullptr) owner_->retain();
  }
  Bytes(Bytes&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)),
        owner_(std::exchange(other.owner_, nullptr)) {}
  Bytes& operator=(Bytes other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(owner_, other.owner_);
    return *this;
  }
  ~Bytes() {
    if (owner_ != nullptr) owner_->release();
  }

  // A fresh heap block, 64-byte aligned, not initialised.
  static Bytes allocate(std::size_t size);
  // A heap copy of `text`.
  static Bytes copy_of(std::string_view text);
  static Bytes copy_of(std::span<const std::byte> bytes);
  // Takes over the string's memory, without a copy.
  static Bytes adopt(std::string text);

  const std::byte* data() const noexcept { return data_; }
  std::byte* mutable_data() noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  std::span<const std::byte> span() const noexcept { return {data_, size_}; }
  std::string_view text() const noexcept { return {reinterpret_cast<const char*>(data_), size_}; }

  // A part of this memory, sharing the owner. Precondition: offset + size <= this->size().
  Bytes slice(std::size_t offset, std::size_t size) const noexcept;

 private:
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  BytesOwner* owner_ = nullptr;
};

// Where tensors get their memory from: the heap, or an engine's buffer pool.
class Allocator {
 public:
  virtual ~Allocator() = default;
  // At least `size` bytes, 64-byte aligned, not initialised. Throws Error kResourceExhausted when a
  // budget is spent.
  virtual Bytes allocate(std::size_t size) = 0;
};

// Bytes::allocate as an Allocator; thread-safe, lives as long as the program.
Allocator& heap_allocator() noexcept;

}  // namespace baozi
