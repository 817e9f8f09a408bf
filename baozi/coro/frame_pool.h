// Memory of coroutine frames: free lists by size class in every thread, refilled from and spilled to a shared store in
// batches, so that frames born on one thread and freed on another do not pile up. Slabs are kept for the life of the
// program. The slabs are also how a debugger finds every live task: see tools/gdb/baozi.py.
//
// Under AddressSanitizer frames come from the heap, so that a use after free is seen.
#pragma once

#include <cstddef>

namespace baozi::frame_pool {

// 16-byte aligned. Throws std::bad_alloc.
void* allocate(std::size_t size);
void deallocate(void* frame, std::size_t size) noexcept;

// Bytes taken from the system for slabs so far.
std::size_t slab_bytes() noexcept;

}  // namespace baozi::frame_pool
