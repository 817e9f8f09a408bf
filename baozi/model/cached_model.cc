#include "baozi/model/cached_model.h"

#include <exception>
#include <utility>

#include "baozi/base/error.h"
#include "baozi/coro/this_task.h"
#include "baozi/coro/with_deadline.h"
#include "baozi/model/no_room.h"

namespace baozi::model {
namespace {

using Result = ModelCache::Result;

Task<InferResponse> answer(InferResponse response) { co_return response; }

Task<void> wait_for(std::shared_ptr<Flight> flight) {
  co_await flight->done.wait();
}

}  // namespace

void CachedModel::Sum::add(Duration span) noexcept {
  count.fetch_add(1, std::memory_order_relaxed);
  ns.fetch_add(static_cast<std::uint64_t>(span / std::chrono::nanoseconds(1)),
               std::memory_order_relaxed);
}

Statistics::Duration CachedModel::Sum::read() const noexcept {
  return {count.load(std::memory_order_relaxed), ns.load(std::memory_order_relaxed)};
}

CachedModel::CachedModel(std::shared_ptr<Servable> inner, ModelCache& cache)
    : inner_(std::move(inner)), cache_(cache), scope_(cache.scope_of(*inner_)) {
  cache_.show(*inner_, scope_);
}

Statistics CachedModel::statistics() const {
  Statistics statistics = inner_->statistics();
  statistics.cache_hit = hits_.read();
  statistics.cache_miss = misses_.read();
  const Statistics::Duration joined = joined_.read();
  statistics.success.count += statistics.cache_hit.count + joined.count;
  statistics.success.ns += statistics.cache_hit.ns + joined.ns;
  return statistics;
}

// Not a coroutine: a hit has one small frame, and a request that passes by none.
Task<InferResponse> CachedModel::infer(InferRequest request) {
  const Time start = Clock::now();
  request.model = name();
  if (request.cache == CacheWish::kNone) {
    cache_.count(Result::kBypass);
    return ask_inner(std::move(request));
  }
  const CacheKey key = cache_key(scope_, request);
  if (request.cache == CacheWish::kRefresh) {
    cache_.count(Result::kBypass);
    return refresh(key, std::move(request));
  }
  if (std::optional<InferResponse> kept = cache_.find_local(scope_, key, request, start)) {
    hits_.add(Clock::now() - start);
    return answer(*std::move(kept));
  }
  return fly(key, std::move(request), start);
}

Task<InferResponse> CachedModel::refresh(CacheKey key, InferRequest request) {
  Task<InferResponse> asking = ask_inner(std::move(request));
  InferResponse response = co_await std::move(asking);
  cache_.store(scope_, key, response);
  co_return response;
}

Task<InferResponse> CachedModel::fly(CacheKey key, InferRequest request, Time start) {
  const Context& context = co_await this_context();
  const std::string id = request.id;
  const std::vector<std::string> wanted = request.outputs;
  const Flights::Seat seat = cache_.flights().join(key);
  const std::shared_ptr<Flight>& flight = seat.flight();
  misses_.add(Clock::now() - start);
  if (seat.starts()) {
    // A run may have landed since this request looked for its answer.
    if (std::optional<InferResponse> kept = cache_.peek(key, request, Clock::now())) {
      cache_.count(Result::kHit);
      flight->response = *std::move(kept);
      cache_.flights().land(flight);
    } else {
      cache_.all().spawn(run(shared_from_this(), flight, std::move(request)));
    }
  } else {
    cache_.count(Result::kJoined);
  }
  Task<void> waiting = wait_for(flight);
  // Whoever sets a deadline also stops its token then; a bare deadline has nobody to do so.
  if (context.deadline != kNever && !context.stop.stop_possible())
    waiting = with_deadline(std::move(waiting), context.deadline);
  co_await std::move(waiting);
  if (flight->error && flight->error->code() == Code::kResourceExhausted)
    throw NoRoom(*flight->error, retry_after_s(*inner_));
  if (flight->error) throw Error(*flight->error);
  if (!seat.starts()) {
    joined_.add(Clock::now() - start);
    if (context.trace != nullptr) context.trace->add("joined", start, Clock::now());
  } else if (context.trace != nullptr) {
    for (const RequestTrace::Stage& stage : flight->trace.stages())
      context.trace->add(stage.name, stage.start, stage.end);
  }
  InferResponse response = flight->response;
  put_in_order(wanted, response.outputs);
  response.id = id;
  co_return response;
}

// In the nursery of the caches; throws nothing. The second tier is asked first.
Task<void> CachedModel::run(std::shared_ptr<CachedModel> self, std::shared_ptr<Flight> flight,
                            InferRequest request) {
  try {
    Task<std::optional<InferResponse>> fetching =
        self->cache_.fetch(self->scope_, flight->key).with_context(flight->context);
    std::optional<InferResponse> kept = co_await std::move(fetching);
    self->cache_.count(kept ? Result::kHit : Result::kMiss);
    if (kept) {
      flight->response = *std::move(kept);
    } else {
      Task<InferResponse> asking = self->ask_inner(std::move(request));
      InferResponse response = co_await std::move(asking).with_context(flight->context);
      self->cache_.store(self->scope_, flight->key, response);
      flight->response = std::move(response);
    }
  } catch (const Error& error) {
    flight->error = error;
  } catch (const std::exception& error) {
    flight->error = Error(Code::kInternal, error.what());
  }
  self->cache_.flights().land(flight);
}

Task<InferResponse> CachedModel::ask_inner(InferRequest request) {
  try {
    Task<InferResponse> asking = inner_->infer(std::move(request));
    InferResponse response = co_await std::move(asking);
    co_return response;
  } catch (const Error& error) {
    if (error.code() != Code::kResourceExhausted) throw;
    throw NoRoom(error, retry_after_s(*inner_));
  }
}

}  // namespace baozi::model
