#include "baozi/coro/uv/uv_await.h"

#include <fcntl.h>

#include <algorithm>
#include <cstdint>

namespace baozi {
namespace detail {

bool UvTimer::await_suspend(std::coroutine_handle<>) noexcept {
  return start_with([this] {
    const auto millis = std::chrono::ceil<std::chrono::milliseconds>(span_).count();
    timer_.data = this;
    uv_timer_init(loop(), &timer_);
    uv_update_time(loop());  // else the span would count from the loop's last round
    uv_timer_start(
        &timer_, [](uv_timer_t* timer) { static_cast<UvTimer*>(timer->data)->close(); },
        static_cast<std::uint64_t>(std::max<std::int64_t>(millis, 0)), 0);
  });
}

void UvTimer::close() noexcept {
  auto* handle = reinterpret_cast<uv_handle_t*>(&timer_);
  if (uv_is_closing(handle) != 0) return;
  // libuv keeps the handle until it says so.
  uv_close(handle, [](uv_handle_t* closed) { static_cast<UvTimer*>(closed->data)->complete(); });
}

void UvTimer::await_resume() {
  finish();
  if (was_cancelled()) throw_stopped();
}

bool UvRequest::await_suspend(std::coroutine_handle<>) noexcept {
  return start_with([this] {
    request_.data = this;
    const int status = uv_queue_work(
        loop(), &request_,
        [](uv_work_t* request) { static_cast<UvRequest*>(request->data)->work(); },
        [](uv_work_t* request, int ended) {
          auto* self = static_cast<UvRequest*>(request->data);
          self->status_ = ended;
          self->complete();
        });
    if (status != 0) throw_uv_error(status, "uv_queue_work");
  });
}

void UvRequest::finish_request() {
  finish();
  if (status_ == UV_ECANCELED) throw_stopped();
}

bool UvFile::await_suspend(std::coroutine_handle<>) noexcept {
  return start_with([this] {
    request_.data = this;
    const int status = call_(loop(), &request_, *this, [](uv_fs_t* request) {
      static_cast<UvFile*>(request->data)->complete();
    });
    if (status != 0) throw_uv_error(status, "uv_fs");
  });
}

std::int64_t UvFile::await_resume() {
  finish();
  const std::int64_t result = request_.result;
  uv_fs_req_cleanup(&request_);
  if (result == UV_ECANCELED) throw_stopped();
  return result;
}

namespace {

int open_call(uv_loop_t* loop, uv_fs_t* request, UvFile& self, uv_fs_cb done) {
  return uv_fs_open(loop, request, self.arguments.path, O_RDONLY | O_CLOEXEC, 0, done);
}
int read_call(uv_loop_t* loop, uv_fs_t* request, UvFile& self, uv_fs_cb done) {
  return uv_fs_read(loop, request, self.arguments.file, &self.arguments.buffer, 1,
                    self.arguments.offset, done);
}

// Closing does not wait for a disk.
class OpenFile {
 public:
  explicit OpenFile(uv_file file) noexcept : file_(file) {}
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  ~OpenFile() {
    uv_fs_t request;
    uv_fs_close(nullptr, &request, file_, nullptr);
    uv_fs_req_cleanup(&request);
  }

 private:
  uv_file file_;
};

}  // namespace
}  // namespace detail

Task<std::string> uv_read_file(std::string path) {
  constexpr std::size_t kChunk = 256 * 1024;
  detail::UvFile::Arguments arguments;
  arguments.path = path.c_str();
  std::int64_t opened = co_await detail::UvFile(&detail::open_call, arguments);
  if (opened < 0) throw_uv_error(static_cast<int>(opened), path);
  const detail::OpenFile file(static_cast<uv_file>(opened));
  std::string text;
  for (;;) {
    const std::size_t had = text.size();
    text.resize(had + kChunk);
    arguments.file = static_cast<uv_file>(opened);
    arguments.buffer = uv_buf_init(text.data() + had, kChunk);
    arguments.offset = static_cast<std::int64_t>(had);
    std::int64_t got = co_await detail::UvFile(&detail::read_call, arguments);
    if (got < 0) throw_uv_error(static_cast<int>(got), path);
    text.resize(had + static_cast<std::size_t>(got));
    if (got == 0) co_return text;
  }
}

}  // namespace baozi
