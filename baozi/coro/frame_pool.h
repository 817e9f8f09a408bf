// Memory of coroutine frames: free lists by size class in every thread, refilled from and spilled
// to a shared store in batches, so that frames born on one thread and freed on another do not pile
// up. Slabs are kept for the life of the program. The slabs are also how a debugger finds every
// live task: see tools/gdb/baozi.py.
//
// Under AddressSanitizer frames come from the heap, so that a use after free is seen.
//
// Thread safety: all functions; memory may be freed on another thread than it was allocated on.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <new>

namespace baozi::frame_pool {

#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool kPooled = false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
inline constexpr bool kPooled = false;
#else
inline constexpr bool kPooled = true;
#endif
#else
inline constexpr bool kPooled = true;
#endif

inline constexpr std::size_t kStep = 32;
inline constexpr std::size_t kPooledMax = 2048;  // larger frames come from the heap
inline constexpr std::size_t kClasses = kPooledMax / kStep;

namespace detail {

// A free block. `not_live` lies where a frame's promise keeps Work::run, so a debugger sees that no
// task is here.
struct Block {
  Block* next;
  Block* next_batch;
  std::size_t batch_size;
  void* not_live;
};
static_assert(sizeof(Block) <= kStep);

struct LocalList {
  Block* head;
  std::int32_t room;  // blocks that may still come back before a batch is given away; 0 or less:
                      // take the slow path
};

struct LocalLists {
  std::array<LocalList, kClasses> of_class;
  bool registered;  // for the clean-up at the thread's end
};
extern constinit thread_local LocalLists tl_lists;

void* allocate_slowly(std::size_t size_class);
void deallocate_slowly(void* frame, std::size_t size_class) noexcept;

}  // namespace detail

// 16-byte aligned. Throws std::bad_alloc.
inline void* allocate(std::size_t size) {
  if (!kPooled || size > kPooledMax) return ::operator new(size);
  const std::size_t size_class = (size - 1) / kStep;
  detail::LocalList& list = detail::tl_lists.of_class[size_class];
  detail::Block* block = list.head;
  if (block == nullptr) [[unlikely]]
    return detail::allocate_slowly(size_class);
  list.head = block->next;
  ++list.room;
  return block;
}

inline void deallocate(void* frame, std::size_t size) noexcept {
  if (!kPooled || size > kPooledMax) {
    ::operator delete(frame);
    return;
  }
  const std::size_t size_class = (size - 1) / kStep;
  detail::LocalList& list = detail::tl_lists.of_class[size_class];
  if (list.room <= 0) [[unlikely]] {
    detail::deallocate_slowly(frame, size_class);
    return;
  }
  auto* block = static_cast<detail::Block*>(frame);
  block->not_live = nullptr;
  block->next = list.head;
  list.head = block;
  --list.room;
}

// For what lives as long as a request does, beside its frames: std::allocate_shared and the like.
template <class T>
struct Allocator {
  using value_type = T;
  Allocator() = default;
  template <class U>
  Allocator(const Allocator<U>&) noexcept {}
  T* allocate(std::size_t count) {
    static_assert(alignof(T) <= 16);
    return static_cast<T*>(frame_pool::allocate(count * sizeof(T)));
  }
  void deallocate(T* memory, std::size_t count) noexcept {
    frame_pool::deallocate(memory, count * sizeof(T));
  }
  friend bool operator==(const Allocator&, const Allocator&) noexcept { return true; }
};

// Bytes taken from the system for slabs so far.
std::size_t slab_bytes() noexcept;

}  // namespace baozi::frame_pool
