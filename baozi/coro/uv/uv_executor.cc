#include "baozi/coro/uv/uv_executor.h"

#include <cassert>
#include <utility>

#include "baozi/base/error.h"

namespace baozi {
namespace {

// uv_run may be called on any thread, one at a time: known from the first work on.
thread_local UvExecutor* tl_current = nullptr;

Code code_of(int status) noexcept {
  switch (status) {
    case UV_ECANCELED:
      return Code::kCancelled;
    case UV_ENOENT:
      return Code::kNotFound;
    case UV_EACCES:
    case UV_EPERM:
      return Code::kPermissionDenied;
    case UV_EINVAL:
    case UV_EISDIR:
    case UV_ENOTDIR:
      return Code::kInvalidArgument;
    case UV_ETIMEDOUT:
      return Code::kDeadlineExceeded;
    case UV_ENOMEM:
    case UV_EMFILE:
    case UV_ENFILE:
      return Code::kResourceExhausted;
    default:
      return Code::kUnavailable;
  }
}

}  // namespace

void throw_uv_error(int status, const std::string& what) {
  throw Error(code_of(status), what + ": " + uv_strerror(status));
}

UvExecutor::UvExecutor(uv_loop_t& loop, std::string name) : name_(std::move(name)), loop_(loop) {
  const int status = uv_async_init(
      &loop_, &async_, [](uv_async_t* handle) { static_cast<UvExecutor*>(handle->data)->drain(); });
  if (status != 0) throw_uv_error(status, "uv_async_init");
  async_.data = this;
}

UvExecutor::~UvExecutor() {
  assert(released_ && "call release() and let uv_run come back before the executor goes");
  gate_.wait_until_empty();
}

UvExecutor* UvExecutor::current() noexcept { return tl_current; }

void UvExecutor::post(Work& work) noexcept {
  const PostGate::Scope inside(gate_);
  // The loop takes everything at once, so only the first needs to wake it.
  if (inbox_.push(work)) uv_async_send(&async_);
}

bool UvExecutor::has_waiting() const noexcept {
  // The loop's own handles may be ready, which only a round of the loop tells.
  return pending_ != nullptr || !inbox_.looks_empty() || ++yields_ % kYieldsWithoutPoll == 0;
}

void UvExecutor::drain() noexcept {
  tl_current = this;
  pending_ = inbox_.take_all();
  while (pending_ != nullptr) {
    Work* work = pending_;
    pending_ = work->next;
    work->run(work);
  }
}

void UvExecutor::release() noexcept {
  if (std::exchange(released_, true)) return;
  uv_close(reinterpret_cast<uv_handle_t*>(&async_), nullptr);
}

}  // namespace baozi
