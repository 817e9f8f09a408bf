// A file descriptor that is closed with its owner.
//
// Thread safety: constant after construction.
#pragma once

#include <unistd.h>

namespace baozi::engine {

class Descriptor {
 public:
  explicit Descriptor(int value) noexcept : value_(value) {}
  ~Descriptor() {
    if (value_ >= 0) ::close(value_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  explicit operator bool() const noexcept { return value_ >= 0; }
  int get() const noexcept { return value_; }

 private:
  const int value_;
};

}  // namespace baozi::engine
