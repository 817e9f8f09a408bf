#include "baozi/engine/buffer_pool.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <cstring>
#include <mutex>
#include <new>
#include <utility>

#include "baozi/base/error.h"

namespace baozi::engine {
namespace {

constexpr std::size_t kAlignment = 64;
constexpr std::size_t kHead = kAlignment;  // of a block, before its payload
constexpr std::size_t kBlockMax = std::size_t{1}
                                  << 42;  // above Shape's limit for all but the widest types
constexpr int kSmallClasses = 4;          // 64, 128, 192, 256
constexpr int kSmallBits = 8;             // 2^8 = 256 ends them
constexpr int kClasses = kSmallClasses + (42 - kSmallBits) * 4;

struct SizeClass {
  int index;
  std::size_t bytes;
};

SizeClass size_class(std::size_t size) noexcept {
  assert(size <= kBlockMax);
  if (size <= 256) {
    const std::size_t units = size == 0 ? 1 : (size + kAlignment - 1) / kAlignment;
    return {static_cast<int>(units) - 1, units * kAlignment};
  }
  const int power = std::bit_width(size - 1) - 1;  // 2^power < size <= 2^(power + 1)
  const std::size_t base = std::size_t{1} << power;
  const std::size_t step = base / 4;
  const std::size_t steps = (size - base + step - 1) / step;  // 1 to 4
  return {kSmallClasses + (power - kSmallBits) * 4 + static_cast<int>(steps) - 1,
          base + steps * step};
}

void* take(std::size_t bytes) { return ::operator new(bytes, std::align_val_t{kAlignment}); }
void give(void* memory) noexcept { ::operator delete(memory, std::align_val_t{kAlignment}); }

}  // namespace

class BufferPool::Core {
 public:
  class Block final : public BytesOwner {
   public:
    Block(Core& core, SizeClass size, bool in_slab) noexcept
        : core_(core), size_(size), in_slab_(in_slab) {}
    std::byte* payload() noexcept { return reinterpret_cast<std::byte*>(this) + kHead; }
    std::size_t whole() const noexcept { return kHead + size_.bytes; }

   private:
    friend class Core;
    void dispose() noexcept override { core_.give_back(this); }

    Core& core_;
    const SizeClass size_;
    const bool in_slab_;
    Block* next_ = nullptr;  // in the free list
  };
  static_assert(sizeof(Block) <= kHead);

  explicit Core(Options options) : options_(std::move(options)) {
    try {
      for (const Reserve& reserve : options_.reserve) add_slab(reserve);
    } catch (...) {
      free_slabs();
      throw;
    }
  }

  Bytes allocate(std::size_t size) {
    if (size > kBlockMax) refuse(size);
    const SizeClass wanted = size_class(size);
    const std::lock_guard lock(mutex_);
    ++statistics_.allocations;
    Block*& head = free_[static_cast<std::size_t>(wanted.index)];
    Block* block = head;
    if (block != nullptr) {
      head = block->next_;
      block->reset_refs();
    } else {
      block = grow_locked(wanted, size);
    }
    ++statistics_.blocks_in_use;
    statistics_.in_use_bytes += block->whole();
    statistics_.in_use_bytes_max = std::max(statistics_.in_use_bytes_max, statistics_.in_use_bytes);
    return Bytes(block->payload(), size, block);
  }

  Statistics statistics() const {
    const std::lock_guard lock(mutex_);
    return statistics_;
  }

  // The pool itself is gone; the core follows when nothing is in use.
  void close() noexcept {
    std::unique_lock lock(mutex_);
    closed_ = true;
    const bool last = statistics_.blocks_in_use == 0;
    lock.unlock();
    if (last) delete this;
  }

 private:
  ~Core() {
    trim_locked(0, true);
    free_slabs();
  }

  void give_back(Block* block) noexcept {
    std::unique_lock lock(mutex_);
    Block*& head = free_[static_cast<std::size_t>(block->size_.index)];
    block->next_ = std::exchange(head, block);
    statistics_.in_use_bytes -= block->whole();
    --statistics_.blocks_in_use;
    const bool last = closed_ && statistics_.blocks_in_use == 0;
    lock.unlock();
    if (last) delete this;
  }

  bool over_budget(std::size_t more) const noexcept {
    return options_.bytes_max != 0 &&
           (more > options_.bytes_max || statistics_.held_bytes > options_.bytes_max - more);
  }

  [[noreturn]] void refuse(std::size_t size) const {
    const std::string where =
        options_.option.empty() ? "the pool's limit" : "'" + options_.option + "'";
    throw Error(Code::kResourceExhausted,
                fmt::format("a buffer of {} bytes does not fit: {} of {} bytes are in use; raise "
                            "{}, or send less at once",
                            size, statistics_.in_use_bytes, options_.bytes_max, where));
  }

  Block* grow_locked(SizeClass wanted, std::size_t size) {
    const std::size_t whole = kHead + wanted.bytes;
    if (over_budget(whole)) trim_locked(whole, false);
    if (over_budget(whole)) refuse(size);
    void* memory = nullptr;
    try {
      memory = take(whole);
    } catch (const std::bad_alloc&) {
      throw Error(Code::kResourceExhausted,
                  fmt::format("the system has no memory for a buffer of {} bytes", size));
    }
    statistics_.held_bytes += whole;
    ++statistics_.system_allocations;
    return new (memory) Block(*this, wanted, false);
  }

  // Gives idle blocks back to the system, the largest first, until `room` bytes fit or, with `all`,
  // to the last.
  void trim_locked(std::size_t room, bool all) noexcept {
    for (std::size_t index = free_.size(); index-- > 0 && (all || over_budget(room));) {
      Block* kept = nullptr;
      Block* block = std::exchange(free_[index], nullptr);
      while (block != nullptr) {
        Block* next = block->next_;
        if (block->in_slab_ || !(all || over_budget(room))) {
          block->next_ = std::exchange(kept, block);
        } else {
          statistics_.held_bytes -= block->whole();
          block->~Block();
          give(block);
        }
        block = next;
      }
      free_[index] = kept;
    }
  }

  void add_slab(const Reserve& reserve) {
    if (reserve.count == 0) return;
    const SizeClass wanted = size_class(std::min(reserve.bytes, kBlockMax));
    const std::size_t whole = kHead + wanted.bytes;
    if (reserve.count > kBlockMax / whole || over_budget(whole * reserve.count)) {
      throw Error(Code::kResourceExhausted,
                  fmt::format("{} buffers of {} bytes do not fit into '{}' of {} bytes",
                              reserve.count, reserve.bytes, options_.option, options_.bytes_max));
    }
    slabs_.reserve(slabs_.size() + 1);
    void* slab = nullptr;
    try {
      slab = take(whole * reserve.count);
    } catch (const std::bad_alloc&) {
      throw Error(Code::kResourceExhausted,
                  fmt::format("the system has no memory for {} buffers of {} bytes", reserve.count,
                              reserve.bytes));
    }
    slabs_.push_back(slab);
    std::memset(slab, 0, whole * reserve.count);  // so that the first request meets no page fault
    Block*& head = free_[static_cast<std::size_t>(wanted.index)];
    for (std::size_t i = 0; i < reserve.count; ++i) {
      auto* block = new (static_cast<std::byte*>(slab) + i * whole) Block(*this, wanted, true);
      block->next_ = std::exchange(head, block);
    }
    statistics_.held_bytes += whole * reserve.count;
  }

  void free_slabs() noexcept {
    for (void* slab : slabs_) give(slab);  // their blocks hold nothing that needs a destructor
  }

  // Constant after construction.
  const Options options_;
  std::vector<void*> slabs_;

  mutable std::mutex mutex_;
  // Guarded by mutex_:
  std::array<Block*, kClasses> free_{};
  Statistics statistics_;
  bool closed_ = false;
};

BufferPool::BufferPool(Options options) : core_(new Core(std::move(options))) {}
BufferPool::~BufferPool() { core_->close(); }
Bytes BufferPool::allocate(std::size_t size) { return core_->allocate(size); }
BufferPool::Statistics BufferPool::statistics() const { return core_->statistics(); }
std::size_t BufferPool::block_bytes(std::size_t size) noexcept { return size_class(size).bytes; }

}  // namespace baozi::engine
