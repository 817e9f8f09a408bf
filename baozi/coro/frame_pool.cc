#include "baozi/coro/frame_pool.h"

#include <array>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <new>

namespace baozi::frame_pool {

constexpr std::size_t kStep = 32;
constexpr std::size_t kSlabBytes = 64 * 1024;

// A slab is kSlabBytes, aligned to its size: this header, then the blocks, each `block_bytes` long from `first_block` on.
// live[offset / kStep] says whether the block that starts at that offset is in use.
// The names and layout here are read by tools/gdb/baozi.py.
struct Slab {
  Slab* next;
  std::uint32_t block_bytes;
  std::uint32_t blocks;
  std::uint32_t first_block;
  std::atomic<std::uint8_t> live[kSlabBytes / kStep];
};

std::atomic<Slab*> g_slabs{nullptr};

namespace {

constexpr std::size_t kPooledMax = 2048;  // larger frames come from the heap
constexpr std::size_t kClasses = kPooledMax / kStep;
constexpr std::size_t kBatch = 64;       // blocks moved between a thread and the store at once
constexpr std::size_t kLocalMax = 2 * kBatch;

struct Block {
  Block* next;
  Block* next_batch;
};

// Full batches of kBatch blocks, shared by all threads; an object a size class.
struct Store {
  std::mutex mutex;
  Block* batches = nullptr;  // guarded by mutex; linked by next_batch
};
std::array<Store, kClasses> g_stores;

struct LocalList {
  Block* head = nullptr;
  std::size_t count = 0;
};

std::size_t class_of(std::size_t size) noexcept { return (size - 1) / kStep; }

Slab* slab_of(void* block) noexcept {
  return reinterpret_cast<Slab*>(reinterpret_cast<std::uintptr_t>(block) & ~(kSlabBytes - 1));
}

void mark(void* block, std::uint8_t live) noexcept {
  Slab* slab = slab_of(block);
  const auto offset = static_cast<std::size_t>(static_cast<char*>(block) - reinterpret_cast<char*>(slab));
  slab->live[offset / kStep].store(live, std::memory_order_relaxed);
}

// A chain of a new slab's blocks; sets `count`.
Block* carve_slab(std::size_t size_class, std::size_t& count) {
  void* memory = std::aligned_alloc(kSlabBytes, kSlabBytes);
  if (memory == nullptr) throw std::bad_alloc();
  const std::size_t block = (size_class + 1) * kStep;
  const std::size_t first = (sizeof(Slab) + kStep - 1) / kStep * kStep;
  const std::size_t blocks = (kSlabBytes - first) / block;
  auto* slab = new (memory) Slab{};
  slab->block_bytes = static_cast<std::uint32_t>(block);
  slab->blocks = static_cast<std::uint32_t>(blocks);
  slab->first_block = static_cast<std::uint32_t>(first);
  char* at = static_cast<char*>(memory) + first;
  Block* head = nullptr;
  for (std::size_t i = blocks; i-- > 0;) {
    auto* made = reinterpret_cast<Block*>(at + i * block);
    made->next = head;
    head = made;
  }
  slab->next = g_slabs.load(std::memory_order_relaxed);
  while (!g_slabs.compare_exchange_weak(slab->next, slab, std::memory_order_release)) {
  }
  count = blocks;
  return head;
}

class LocalCache {
 public:
  ~LocalCache() {
    for (std::size_t i = 0; i < kClasses; ++i) {
      if (lists_[i].count > 0) give(i, lists_[i].head);
    }
  }

  void* take(std::size_t size_class) {
    LocalList& list = lists_[size_class];
    if (list.head == nullptr) refill(size_class, list);
    Block* block = list.head;
    list.head = block->next;
    if (list.count > 0) --list.count;
    return block;
  }

  void put(std::size_t size_class, void* frame) noexcept {
    LocalList& list = lists_[size_class];
    auto* block = static_cast<Block*>(frame);
    block->next = list.head;
    list.head = block;
    if (++list.count >= kLocalMax) spill(size_class, list);
  }

 private:
  static void give(std::size_t size_class, Block* batch) noexcept {
    const std::lock_guard lock(g_stores[size_class].mutex);
    batch->next_batch = g_stores[size_class].batches;
    g_stores[size_class].batches = batch;
  }

  static void refill(std::size_t size_class, LocalList& list) {
    {
      const std::lock_guard lock(g_stores[size_class].mutex);
      if (Block* batch = g_stores[size_class].batches; batch != nullptr) {
        g_stores[size_class].batches = batch->next_batch;
        list.head = batch;
        list.count = kBatch;  // batches of exiting threads are shorter: an upper bound, which take() allows for
        return;
      }
    }
    // A slab's blocks do not count against kLocalMax until they come back.
    std::size_t carved = 0;
    list.head = carve_slab(size_class, carved);
    list.count = 0;
  }

  void spill(std::size_t size_class, LocalList& list) noexcept {
    Block* batch = list.head;
    Block* last = batch;
    for (std::size_t i = 1; i < kBatch; ++i) last = last->next;
    list.head = last->next;
    last->next = nullptr;
    list.count -= kBatch;
    give(size_class, batch);
  }

  std::array<LocalList, kClasses> lists_{};
};

LocalCache& local_cache() {
  thread_local LocalCache cache;
  return cache;
}

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kPooled = false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
constexpr bool kPooled = false;
#else
constexpr bool kPooled = true;
#endif
#else
constexpr bool kPooled = true;
#endif

}  // namespace

void* allocate(std::size_t size) {
  if (!kPooled || size > kPooledMax) return ::operator new(size);
  void* block = local_cache().take(class_of(size));
  mark(block, 1);
  return block;
}

void deallocate(void* frame, std::size_t size) noexcept {
  if (!kPooled || size > kPooledMax) {
    ::operator delete(frame);
    return;
  }
  mark(frame, 0);
  local_cache().put(class_of(size), frame);
}

std::size_t slab_bytes() noexcept {
  std::size_t total = 0;
  for (Slab* slab = g_slabs.load(std::memory_order_acquire); slab != nullptr; slab = slab->next) total += kSlabBytes;
  return total;
}

}  // namespace baozi::frame_pool
