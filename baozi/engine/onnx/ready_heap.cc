#include "baozi/engine/onnx/ready_heap.h"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>

namespace baozi::engine {
namespace {

constexpr std::size_t kPiece = 100 << 10;  // below what the C library maps separately
constexpr std::size_t kPiecesMax = 256;
constexpr std::uintptr_t kPage = 4096;
#ifndef MADV_POPULATE_WRITE
constexpr int MADV_POPULATE_WRITE = 23;
#endif

}  // namespace

// The C library's heap grows by what is asked of it, in one stretch of addresses. So it is made to
// grow, the pages of that stretch are asked for together, and it is given back except for its end.
ReadyHeap::ReadyHeap(std::size_t bytes) noexcept {
  std::array<void*, kPiecesMax> pieces{};
  const std::size_t count = std::min(bytes / kPiece, kPiecesMax);
  std::uintptr_t low = UINTPTR_MAX;
  std::uintptr_t high = 0;
  for (std::size_t i = 0; i < count; ++i) {
    pieces[i] = std::malloc(kPiece);
    if (pieces[i] == nullptr) break;
    low = std::min(low, reinterpret_cast<std::uintptr_t>(pieces[i]));
    high = std::max(high, reinterpret_cast<std::uintptr_t>(pieces[i]));
  }
  // One stretch, and not what several parts of a heap would span.
  if (low < high && high - low < 2 * count * kPiece) {
    const std::uintptr_t begin = low / kPage * kPage;
    ::madvise(reinterpret_cast<void*>(begin), high - begin, MADV_POPULATE_WRITE);
  }
  for (void* piece : pieces) {
    if (piece != nullptr && reinterpret_cast<std::uintptr_t>(piece) == high) {
      last_ = piece;
    } else {
      std::free(piece);
    }
  }
}

ReadyHeap::~ReadyHeap() { std::free(last_); }

}  // namespace baozi::engine
