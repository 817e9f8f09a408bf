// BufferPool: tensor memory that is taken from the system once and used over and over.
//
// Blocks come in size classes (powers of two with three steps in between, so that at most a quarter
// is added), aligned to 64 bytes. A block goes back to its class when the last Bytes that refers to
// it is gone; handing one out again allocates nothing. The total never exceeds `bytes_max`: when it
// would, idle blocks of other classes are given up first.
//
// Thread safety: all methods. Blocks may outlive the pool; its memory goes when the last of them is
// back.
//
//   BufferPool pool({.bytes_max = 1 << 28, .option = "buffer_bytes_max", .reserve = {{4096, 64}}});
//   Tensor t = Tensor::allocate(DType::kFp32, {8, 128}, pool);
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "baozi/base/bytes.h"

namespace baozi::engine {

class BufferPool final : public Allocator {
 public:
  struct Reserve {
    std::size_t bytes = 0;  // of one buffer
    std::size_t count = 0;
  };
  struct Options {
    std::size_t bytes_max = 0;  // limit of all blocks together, their heads included; 0: none
    std::string option;  // what the limit is called in the configuration, for the error message
    std::vector<Reserve> reserve;  // taken from the system, and touched, in the constructor
  };
  struct Statistics {
    std::size_t in_use_bytes = 0;      // blocks handed out, whole
    std::size_t in_use_bytes_max = 0;  // the most there was: the high-water mark
    std::size_t held_bytes = 0;        // taken from the system
    std::size_t blocks_in_use = 0;
    std::size_t allocations = 0;         // allocate() calls
    std::size_t system_allocations = 0;  // of these, how many had to ask the system
  };

  // Throws Error kResourceExhausted when the reserve alone exceeds bytes_max.
  explicit BufferPool(Options options);
  ~BufferPool() override;
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;

  // Throws Error kResourceExhausted, naming the option, when the block would exceed bytes_max.
  Bytes allocate(std::size_t size) override;

  Statistics statistics() const;

  // The payload that a block for `size` bytes has.
  static std::size_t block_bytes(std::size_t size) noexcept;

 private:
  class Core;
  Core* core_;
};

}  // namespace baozi::engine
