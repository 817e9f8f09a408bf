#include "baozi/coro/burst.h"

#include <chrono>

namespace baozi {
namespace {

// Some ten small requests are read and parsed in this time; a model that computes for milliseconds
// does not notice it.
constexpr Duration kBurstMax = std::chrono::microseconds(100);

thread_local Burst* tl_burst = nullptr;

}  // namespace

Burst::Burst() noexcept : outer_(tl_burst) { tl_burst = this; }

Burst::~Burst() {
  end();
  tl_burst = outer_;
}

bool Burst::is_open() noexcept { return tl_burst != nullptr; }

void Burst::defer(Deferred& deferred) noexcept {
  Burst* burst = tl_burst;
  if (burst == nullptr || burst->count_ == burst->deferred_.size()) {
    deferred.burst_ended();
    return;
  }
  if (burst->count_ == 0) burst->due_ = Clock::now() + kBurstMax;
  burst->deferred_[burst->count_++] = &deferred;
}

void Burst::end_current() noexcept {
  for (Burst* burst = tl_burst; burst != nullptr; burst = burst->outer_) burst->end();
}

// What is called may defer more, or block and so end this burst itself.
void Burst::end() noexcept {
  while (done_ < count_) deferred_[done_++]->burst_ended();
  done_ = count_ = 0;
}

}  // namespace baozi
