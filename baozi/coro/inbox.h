// Inbox: many threads put Work in, its owner takes all of it out, first come first served.
// Lock-free: a Treiber stack that is only ever emptied whole, hence without the ABA problem, and
// reversed by the taker.
#pragma once

#include <atomic>

#include "baozi/coro/executor.h"

namespace baozi {

// Queued work, linked from the oldest to the newest.
struct WorkChain {
  Work* oldest = nullptr;
  Work* newest = nullptr;

  void append(WorkChain later) noexcept {
    if (later.oldest == nullptr) return;
    (oldest != nullptr ? newest->next : oldest) = later.oldest;
    newest = later.newest;
  }
};

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

  // All of it; an empty chain when there is nothing.
  WorkChain take_chain() noexcept {
    if (looks_empty()) return {};
    Work* const newest = head_.exchange(nullptr, std::memory_order_acquire);
    Work* oldest = nullptr;
    for (Work* work = newest; work != nullptr;) {
      Work* next = work->next;
      work->next = oldest;
      oldest = work;
      work = next;
    }
    return {oldest, newest};
  }
  // Its oldest piece, linked to the newer ones; null when empty.
  Work* take_all() noexcept { return take_chain().oldest; }

 private:
  std::atomic<Work*> head_{nullptr};
};

}  // namespace baozi
