#include "baozi/coro/stop.h"

#include <pthread.h>

#include <cassert>
#include <thread>

namespace baozi {
namespace {

// The same in every shared object: a plug-in engine carries its own copy of this file, and detaches
// callbacks that the program's copy runs.
std::uint64_t this_thread_number() noexcept { return static_cast<std::uint64_t>(::pthread_self()); }

}  // namespace

Error stopped_error(Code reason) {
  return Error(reason, reason == Code::kDeadlineExceeded ? "the deadline has passed"
                                                         : "the operation was cancelled");
}

void throw_if_stopped(const StopToken& token) {
  if (token.stop_requested()) throw stopped_error(token.reason());
}

StopSource::~StopSource() {
  assert(callbacks_ == nullptr && "a stop callback outlives its source");
}

void StopSource::lock() noexcept {
  while (locked_.test_and_set(std::memory_order_acquire)) {
    // Held for a few instructions only; a preempted holder needs this core.
    std::this_thread::yield();
  }
}

bool StopSource::request_stop(Code reason) noexcept {
  assert(reason != Code::kOk);
  lock();
  if (reason_.load(std::memory_order_relaxed) != 0) {
    unlock();
    return false;
  }
  reason_.store(static_cast<std::uint8_t>(reason), std::memory_order_release);
  running_thread_ = this_thread_number();
  while (callbacks_ != nullptr) {
    StopCallbackBase* callback = callbacks_;
    callbacks_ = callback->next_;
    if (callbacks_ != nullptr) callbacks_->slot_ = &callbacks_;
    callback->slot_ = nullptr;
    running_ = callback;
    unlock();
    callback->run_(callback);
    lock();
    running_ = nullptr;
  }
  unlock();
  return true;
}

void StopCallbackBase::attach(StopToken token) noexcept {
  if (token.source_ == nullptr) return;
  StopSource& source = *token.source_;
  source.lock();
  if (source.reason_.load(std::memory_order_relaxed) != 0) {
    source.unlock();
    run_(this);
    return;
  }
  source_ = &source;
  next_ = source.callbacks_;
  slot_ = &source.callbacks_;
  if (next_ != nullptr) next_->slot_ = &next_;
  source.callbacks_ = this;
  source.unlock();
}

void StopCallbackBase::detach() noexcept {
  if (source_ == nullptr) return;
  source_->lock();
  if (slot_ != nullptr) {
    *slot_ = next_;
    if (next_ != nullptr) next_->slot_ = slot_;
    source_->unlock();
    return;
  }
  // Taken off the list by request_stop: run, running, or destroying itself.
  const bool here = source_->running_thread_ == this_thread_number();
  while (!here && source_->running_ == this) {
    source_->unlock();
    std::this_thread::yield();
    source_->lock();
  }
  source_->unlock();
}

}  // namespace baozi
