#include "baozi/coro/frame_pool.h"

#include <atomic>
#include <cstdlib>
#include <mutex>
#include <utility>

namespace baozi::frame_pool {

constexpr std::size_t kSlabBytes = 64 * 1024;

// This header, then `blocks` blocks, each `block_bytes` long from `first_block` on.
// The names and layout here are read by tools/gdb/baozi.py.
struct Slab {
  Slab* next;
  std::uint32_t block_bytes;
  std::uint32_t blocks;
  std::uint32_t first_block;
};

std::atomic<Slab*> g_slabs{nullptr};

namespace detail {

constinit thread_local LocalLists tl_lists{};

namespace {

constexpr std::int32_t kBatch = 64;  // blocks moved between a thread and the store at once
constexpr std::int32_t kLocalMax = 2 * kBatch;

// Batches of at most kBatch blocks, shared by all threads; an object a size class.
struct Store {
  std::mutex mutex;
  Block* batches = nullptr;  // guarded by mutex; linked by next_batch
};

// Never destroyed: threads may end after main.
std::array<Store, kClasses>& stores() {
  static auto* instance = new std::array<Store, kClasses>;
  return *instance;
}

void give(std::size_t size_class, Block* batch, std::size_t size) noexcept {
  Store& store = stores()[size_class];
  batch->batch_size = size;
  const std::lock_guard lock(store.mutex);
  batch->next_batch = store.batches;
  store.batches = batch;
}

Block* take_batch(std::size_t size_class) noexcept {
  Store& store = stores()[size_class];
  const std::lock_guard lock(store.mutex);
  Block* batch = store.batches;
  if (batch != nullptr) store.batches = batch->next_batch;
  return batch;
}

// A chain of a new slab's blocks; batch_size of the first says how many.
Block* carve_slab(std::size_t size_class) {
  void* memory = std::aligned_alloc(kStep, kSlabBytes);
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
  for (std::size_t i = blocks; i-- > 0;)
    head = new (at + i * block) Block{head, nullptr, 0, nullptr};
  head->batch_size = blocks;
  slab->next = g_slabs.load(std::memory_order_relaxed);
  while (!g_slabs.compare_exchange_weak(slab->next, slab, std::memory_order_release)) {
  }
  return head;
}

// Gives a thread's blocks back when it ends.
struct AtThreadEnd {
  ~AtThreadEnd() {
    for (std::size_t i = 0; i < kClasses; ++i) {
      LocalList& list = tl_lists.of_class[i];
      while (list.head != nullptr) {
        Block* batch = list.head;
        Block* last = batch;
        std::size_t size = 1;
        for (; size < kBatch && last->next != nullptr; ++size) last = last->next;
        list.head = std::exchange(last->next, nullptr);
        give(i, batch, size);
      }
      list.room = 0;  // what is still freed on this thread goes to the store one by one
    }
  }
};

// Once in every thread, before it keeps its first block.
void register_thread() noexcept {
  if (tl_lists.registered) return;
  tl_lists.registered = true;
  for (LocalList& list : tl_lists.of_class) list.room = kLocalMax;
  thread_local const AtThreadEnd at_thread_end;
  static_cast<void>(at_thread_end);
}

}  // namespace

void* allocate_slowly(std::size_t size_class) {
  register_thread();
  LocalList& list = tl_lists.of_class[size_class];
  Block* block = take_batch(size_class);
  if (block == nullptr) block = carve_slab(size_class);
  list.head = block->next;
  list.room = kLocalMax - (static_cast<std::int32_t>(block->batch_size) - 1);
  return block;
}

void deallocate_slowly(void* frame, std::size_t size_class) noexcept {
  LocalList& list = tl_lists.of_class[size_class];
  auto* block = new (frame) Block{nullptr, nullptr, 0, nullptr};
  if (!tl_lists.registered) {
    register_thread();
  } else if (list.head == nullptr) {
    give(size_class, block, 1);  // the thread is ending
    return;
  } else {
    Block* batch = list.head;
    Block* last = batch;
    std::int32_t size = 1;
    for (; size < kBatch && last->next != nullptr; ++size) last = last->next;
    list.head = std::exchange(last->next, nullptr);
    list.room += size;
    give(size_class, batch, static_cast<std::size_t>(size));
  }
  block->next = list.head;
  list.head = block;
  --list.room;
}

}  // namespace detail

std::size_t slab_bytes() noexcept {
  std::size_t total = 0;
  for (Slab* slab = g_slabs.load(std::memory_order_acquire); slab != nullptr; slab = slab->next)
    total += kSlabBytes;
  return total;
}

}  // namespace baozi::frame_pool
