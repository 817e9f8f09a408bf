// ReadyHeap: while it lives, the small pieces that this thread allocates, up to `bytes` together,
// lie on pages that are there already.
//
//   ReadyHeap heap(9 << 20);
//   Ort::Env environment(…);   // some hundred thousand small pieces
//
// A page that is touched for the first time costs a fault of some microseconds, on virtual machines
// more; asked for together they cost a third of that. Setting ONNX Runtime up touches 2,300.
//
// Thread safety: construct and destroy on one thread.
#pragma once

#include <cstddef>

namespace baozi::engine {

class ReadyHeap {
 public:
  // Where the system cannot do it (Linux before 5.14), nothing changes.
  explicit ReadyHeap(std::size_t bytes) noexcept;
  ~ReadyHeap();
  ReadyHeap(const ReadyHeap&) = delete;
  ReadyHeap& operator=(const ReadyHeap&) = delete;

 private:
  void* last_ = nullptr;  // above all the others: as long as it is there, the heap is not trimmed
};

}  // namespace baozi::engine
