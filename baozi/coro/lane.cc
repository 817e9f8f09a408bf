#include "baozi/coro/lane.h"

#include "baozi/coro/idle_poll.h"
#include "baozi/coro/trace.h"

namespace baozi {

void WorkLoop::run() noexcept {
  for (;;) {
    pending_ = inbox_.take_all();
    while (pending_ != nullptr) {
      Work* work = pending_;
      pending_ = work->next;
      work->run(work);
    }
    if (!inbox_.empty()) continue;
    if (stopping_.load(std::memory_order_seq_cst)) return;
    Burst::end_current();
    if (found_while_idle([this] { return !inbox_.looks_empty(); })) continue;
    sleeping_.store(true, std::memory_order_seq_cst);
    if (!inbox_.empty() || stopping_.load(std::memory_order_seq_cst)) {
      sleeping_.store(false, std::memory_order_seq_cst);
      continue;
    }
    parker_.park();
  }
}

void WorkLoop::stop() noexcept {
  Burst::end_current();
  stopping_.store(true, std::memory_order_seq_cst);
  if (sleeping_.exchange(false, std::memory_order_seq_cst)) parker_.wake();
}

Lane::Lane(std::string name) : WorkLoop(name) {
  thread_ = std::thread([this, label = std::move(name)] {
    trace::set_thread_name(label);
    run();
  });
}

Lane::~Lane() {
  stop();
  thread_.join();
}

}  // namespace baozi
