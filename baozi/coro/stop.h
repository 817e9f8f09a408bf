// Cancellation in place: StopSource, StopToken and StopCallback as in <stop_token>, but the state
// lies inside the source, so that giving every request, nursery and deadline its own costs no
// allocation (the shape of P2300's in_place_stop_token). A stop carries its reason.
//
// Lifetime: a source must outlive its tokens' use and all callbacks registered with them. Nurseries
// and tasks see to that: children end before the frame that holds their source.
//
// Thread safety: request_stop, stop_requested and the registration of callbacks may run
// concurrently. A callback runs on the thread that requests the stop, or in the constructor when
// the stop came before; the destructor of StopCallback waits for a run in progress on another
// thread. Callbacks must be short and noexcept: flip a flag and post.
#pragma once

#include <atomic>
#include <cstdint>
#include <utility>

#include "baozi/base/error.h"

namespace baozi {

class StopToken;

class StopSource {
 public:
  StopSource() = default;
  StopSource(const StopSource&) = delete;
  StopSource& operator=(const StopSource&) = delete;
  ~StopSource();

  // The first call wins and runs the callbacks; returns whether this was it.
  // `reason` is what stopped operations report: kCancelled or kDeadlineExceeded as a rule.
  bool request_stop(Code reason = Code::kCancelled) noexcept;
  bool stop_requested() const noexcept { return reason_.load(std::memory_order_acquire) != 0; }
  // kOk while nobody asked to stop.
  Code reason() const noexcept {
    return static_cast<Code>(reason_.load(std::memory_order_acquire));
  }
  StopToken token() noexcept;

 private:
  friend class StopCallbackBase;

  void lock() noexcept;
  void unlock() noexcept { locked_.clear(std::memory_order_release); }

  std::atomic<std::uint8_t> reason_{0};
  std::atomic_flag locked_;
  // Guarded by locked_:
  class StopCallbackBase* callbacks_ = nullptr;
  class StopCallbackBase* running_ = nullptr;
  std::uint64_t running_thread_ = 0;
};

// Where to ask whether to stop; a null token never stops. A value of one pointer.
class StopToken {
 public:
  StopToken() = default;
  bool stop_possible() const noexcept { return source_ != nullptr; }
  bool stop_requested() const noexcept { return source_ != nullptr && source_->stop_requested(); }
  Code reason() const noexcept { return source_ != nullptr ? source_->reason() : Code::kOk; }

 private:
  friend class StopSource;
  friend class StopCallbackBase;
  explicit StopToken(StopSource* source) noexcept : source_(source) {}
  StopSource* source_ = nullptr;
};

inline StopToken StopSource::token() noexcept { return StopToken(this); }

// Throws Error{reason} when a stop was requested.
void throw_if_stopped(const StopToken& token);
// The Error a stopped operation throws.
Error stopped_error(Code reason);

// The type-erased node; use StopCallback.
class StopCallbackBase {
 public:
  StopCallbackBase(const StopCallbackBase&) = delete;
  StopCallbackBase& operator=(const StopCallbackBase&) = delete;

 protected:
  using Run = void (*)(StopCallbackBase*) noexcept;
  explicit StopCallbackBase(Run run) noexcept : run_(run) {}
  ~StopCallbackBase() = default;

  // Registers with the token's source; runs at once when the stop came before.
  void attach(StopToken token) noexcept;
  // Unregisters; waits while the callback runs on another thread.
  void detach() noexcept;

 private:
  friend class StopSource;
  Run run_;
  StopSource* source_ = nullptr;
  StopCallbackBase* next_ = nullptr;
  StopCallbackBase** slot_ = nullptr;  // what points at us; null when not in the list
};

template <class F>
class StopCallback final : private StopCallbackBase {
 public:
  StopCallback(StopToken token, F callback) noexcept
      : StopCallbackBase(&StopCallback::invoke), callback_(std::move(callback)) {
    attach(token);
  }
  ~StopCallback() { detach(); }

 private:
  static void invoke(StopCallbackBase* self) noexcept {
    static_cast<StopCallback*>(self)->callback_();
  }
  F callback_;
};

}  // namespace baozi
