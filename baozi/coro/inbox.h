// Inbox: many threads put Work in, its owner takes all of it out, first come first served.
// Lock-free: a Treiber stack that is only ever emptied whole, hence without the ABA problem, and
// reversed by the taker.
#pragma once

#include <atomic>

#include "baozi/coro/executor.h"

namespace baozi {

class Inbox {
 public:
  // Returns whether the inbox was empty before.
  bool push(Work& work) noexcept {
    Work* head = head_.load(std::memory_order_relaxed);
    do {
      work.next = head;
    } while (!head_.compare_exchange_weak(head, &work, std::memory_order_seq_cst,
                                          std::memory_order_relaxed));
    return head == nullptr;
  }

  bool empty() const noexcept { return head_.load(std::memory_order_seq_cst) == nullptr; }
  // Cheaper and possibly stale.
  bool looks_empty() const noexcept { return head_.load(std::memory_order_relaxed) == nullptr; }

  // The whole chain, oldest first; null when empty.
  Work* take_all() noexcept {
    if (looks_empty()) return nullptr;
    Work* newest = head_.exchange(nullptr, std::memory_order_acquire);
    Work* oldest = nullptr;
    while (newest != nullptr) {
      Work* next = newest->next;
      newest->next = oldest;
      oldest = newest;
      newest = next;
    }
    return oldest;
  }

 private:
  std::atomic<Work*> head_{nullptr};
};

}  // namespace baozi
