// Awaiting Asio: the completion tokens use_task and use_task_ec make any Asio operation awaitable
// from a Task.
//
//   std::size_t n = co_await socket.async_read_some(buffer, use_task);    // throws an Error
//   auto [ec, n] = co_await socket.async_read_some(buffer, use_task_ec);  // returns the error_code
//
// The coroutine runs on the AsioExecutor that owns the I/O object and resumes there, straight out
// of the operation's handler. A stop request cancels the operation (cancellation_type::terminal);
// if it was still under way, either form throws Error{reason}. Nothing is allocated from the heap
// for the operation: its state is the awaiter, Asio's comes from the frame pool.
#pragma once

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/error.hpp>
#include <boost/system/error_code.hpp>
#include <cstddef>
#include <exception>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

#include "baozi/coro/asio/asio_error.h"
#include "baozi/coro/asio/asio_executor.h"
#include "baozi/coro/frame_pool.h"
#include "baozi/coro/loop_operation.h"

namespace baozi {

struct UseTask {};
struct UseTaskEc {};
inline constexpr UseTask use_task;
inline constexpr UseTaskEc use_task_ec;

namespace detail {

template <class T>
struct FrameAllocator {
  using value_type = T;
  FrameAllocator() = default;
  template <class U>
  FrameAllocator(const FrameAllocator<U>&) noexcept {}
  T* allocate(std::size_t count) {
    static_assert(alignof(T) <= 16);
    return static_cast<T*>(frame_pool::allocate(count * sizeof(T)));
  }
  void deallocate(T* memory, std::size_t count) noexcept {
    frame_pool::deallocate(memory, count * sizeof(T));
  }
  template <class U>
  bool operator==(const FrameAllocator<U>&) const noexcept {
    return true;
  }
};

class AsioOperation : public LoopOperation {
 public:
  bool await_ready() noexcept {
    const AsioExecutor* here = AsioExecutor::current();
    return refused(here != nullptr && promise().executor == here);
  }

 protected:
  // A slot that is not connected costs Asio nothing.
  boost::asio::cancellation_slot slot() noexcept {
    return stop_possible() ? signal_.slot() : boost::asio::cancellation_slot();
  }

 private:
  void cancel() noexcept override { signal_.emit(boost::asio::cancellation_type::terminal); }

  boost::asio::cancellation_signal signal_;
};

template <class First, class... Rest>
std::tuple<Rest...> without_first(std::tuple<First, Rest...>&& values) {
  return std::apply([](First&, Rest&... rest) { return std::tuple<Rest...>(std::move(rest)...); },
                    values);
}

// `Values`: what the handler is called with.
template <class Token, class Values, class Initiation, class... Init>
class AsioAwaiter;

template <class Token, class... Values, class Initiation, class... Init>
class AsioAwaiter<Token, std::tuple<Values...>, Initiation, Init...> final : public AsioOperation {
  using Results = std::tuple<Values...>;
  template <std::size_t I>
  using Value = std::tuple_element_t<I, std::tuple<Values..., void>>;
  static constexpr bool kHasCode = std::is_same_v<Value<0>, boost::system::error_code>;
  static constexpr bool kHasException = std::is_same_v<Value<0>, std::exception_ptr>;

 public:
  template <class I, class... A>
  explicit AsioAwaiter(I&& initiation, A&&... init)
      : initiation_(std::forward<I>(initiation)), init_(std::forward<A>(init)...) {}

  bool await_suspend(std::coroutine_handle<>) noexcept {
    return start_with([this] {
      std::apply(
          [this](Init&... init) { std::move(initiation_)(Handler{this}, std::move(init)...); },
          init_);
    });
  }

  auto await_resume() {
    finish();
    Results results = std::move(*results_);
    if constexpr (kHasCode) {
      const boost::system::error_code code = std::get<0>(results);
      if (was_cancelled() && code == boost::asio::error::operation_aborted) throw_stopped();
      if constexpr (std::is_same_v<Token, UseTask>) {
        if (code) throw to_error(code);
        return unwrap_value(without_first(std::move(results)));
      } else {
        return unwrap_value(std::move(results));
      }
    } else if constexpr (kHasException) {
      if (std::get<0>(results)) std::rethrow_exception(std::get<0>(results));
      return unwrap_value(without_first(std::move(results)));
    } else {
      return unwrap_value(std::move(results));
    }
  }

 private:
  struct Handler {
    AsioAwaiter* awaiter;

    using allocator_type = FrameAllocator<std::byte>;
    allocator_type get_allocator() const noexcept { return {}; }
    using cancellation_slot_type = boost::asio::cancellation_slot;
    cancellation_slot_type get_cancellation_slot() const noexcept { return awaiter->slot(); }

    template <class... A>
    void operator()(A&&... values) {
      awaiter->results_.emplace(std::forward<A>(values)...);
      awaiter->complete();
    }
  };

  template <class... V>
  static auto unwrap_value(std::tuple<V...> values) {
    if constexpr (sizeof...(V) == 1) {
      return std::get<0>(std::move(values));
    } else if constexpr (sizeof...(V) > 1) {
      return values;
    }
  }

  Initiation initiation_;
  std::tuple<Init...> init_;
  std::optional<Results> results_;
};

template <class Token, class... Args>
struct TaskResult {
  template <class Initiation, class... Init>
  static auto initiate(Initiation&& initiation, Token, Init&&... init) {
    using Awaiter = AsioAwaiter<Token, std::tuple<std::decay_t<Args>...>, std::decay_t<Initiation>,
                                std::decay_t<Init>...>;
    return Awaiter(std::forward<Initiation>(initiation), std::forward<Init>(init)...);
  }
};

}  // namespace detail
}  // namespace baozi

namespace boost::asio {

template <class... Args>
struct async_result<baozi::UseTask, void(Args...)>
    : baozi::detail::TaskResult<baozi::UseTask, Args...> {};
template <class... Args>
struct async_result<baozi::UseTaskEc, void(Args...)>
    : baozi::detail::TaskResult<baozi::UseTaskEc, Args...> {};

}  // namespace boost::asio
