// PostGate: lets an executor be destroyed as soon as what was posted to it has run. The poster
// still looks at the executor after the work was published (does a thread sleep?), so the
// destructor waits until no poster is inside.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>

namespace baozi {

class PostGate {
 public:
  class Scope {
   public:
    explicit Scope(PostGate& gate) noexcept : gate_(gate) { gate_.enter(); }
    ~Scope() { gate_.leave(); }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    PostGate& gate_;
  };

  // For a stay that does not end with a scope.
  void enter() noexcept { inside_.fetch_add(1, std::memory_order_relaxed); }
  void leave() noexcept { inside_.fetch_sub(1, std::memory_order_release); }

  // Nobody enters any more.
  void wait_until_empty() const noexcept {
    while (inside_.load(std::memory_order_acquire) != 0) std::this_thread::yield();
  }

 private:
  std::atomic<std::uint32_t> inside_{0};
};

}  // namespace baozi
