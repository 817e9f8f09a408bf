// when_all: runs tasks side by side and gives all their results. The first error stops the others;
// all are awaited, then it is thrown. They run on the caller's executor unless placed elsewhere
// (Task::on).
//
//   std::tuple<Image, Labels> both = co_await when_all(decode(bytes), load_labels());
//   std::vector<Text> texts = co_await when_all(std::move(tasks));  // a vector, in order
//
// A Task<void> gives a std::monostate in the tuple; a vector of them gives nothing.
#pragma once

#include <tuple>
#include <utility>
#include <vector>

#include "baozi/coro/group.h"
#include "baozi/coro/this_task.h"

namespace baozi {

template <class... Ts>
Task<std::tuple<detail::NonVoid<Ts>...>> when_all(Task<Ts>... tasks) {
  const Context& context = co_await this_context();
  Executor& here = co_await this_executor();
  detail::Group group(context, here, detail::Group::StopAt::kFirstError);
  (group.start(tasks), ...);
  co_await group.join();
  group.rethrow_if_failed();
  co_return std::tuple<detail::NonVoid<Ts>...>{detail::take_result(tasks)...};
}

template <class T>
Task<std::conditional_t<std::is_void_v<T>, void, std::vector<detail::NonVoid<T>>>> when_all(
    std::vector<Task<T>> tasks) {
  const Context& context = co_await this_context();
  Executor& here = co_await this_executor();
  detail::Group group(context, here, detail::Group::StopAt::kFirstError);
  for (Task<T>& task : tasks) group.start(task);
  co_await group.join();
  group.rethrow_if_failed();
  if constexpr (!std::is_void_v<T>) {
    std::vector<T> results;
    results.reserve(tasks.size());
    for (Task<T>& task : tasks) results.push_back(detail::take_result(task));
    co_return results;
  }
}

}  // namespace baozi
