// Hold: where requests wait for a model that is still being brought up, so many of them and so long
// at most. Who cannot wait here is told when to come again.
//
//   Hold hold(repository, {.requests_max = 1000, .timeout = std::chrono::seconds(30)});
//   std::shared_ptr<model::Servable> servable = co_await hold.wait("resnet", "", deadline);
//
// Thread safety: all methods. The repository outlives it.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

#include "baozi/base/clock.h"
#include "baozi/base/error.h"
#include "baozi/coro/task.h"
#include "baozi/model/repository.h"

namespace prometheus {
class Gauge;
}

namespace baozi::api {

struct HoldOptions {
  std::size_t requests_max = 1000;              // that wait; 0: nobody does
  Duration timeout = std::chrono::seconds(30);  // of each
};

class Hold {
 public:
  Hold(model::Repository& repository, HoldOptions options);

  // Errors: model::NotReady when it failed, when there is no place here, or when it took too long;
  // kDeadlineExceeded at the request's own `deadline`; kCancelled, kNotFound.
  Task<std::shared_ptr<model::Servable>> wait(std::string name, std::string version, Time deadline);

  std::size_t held() const noexcept { return held_.load(std::memory_order_relaxed); }

 private:
  class Place;

  model::Repository& repository_;
  const HoldOptions options_;
  std::atomic<std::size_t> held_{0};
  prometheus::Gauge& gauge_;
};

// Whole seconds for HTTP's Retry-After: until the model is thought to be ready, 1 while nobody
// knows; 0 for an error that no waiting mends.
int retry_after_s(const Error& error) noexcept;

}  // namespace baozi::api
