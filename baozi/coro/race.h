// race: runs tasks side by side; the first to end wins, by a value or by an error, which is thrown.
// The losers are stopped and awaited, whatever they still give is dropped.
//
//   std::variant<Answer, std::monostate> first = co_await race(ask(server), sleep_task(patience));
//   if (first.index() == 0) …
//   RaceResult<Answer> first = co_await race(std::move(askers));  // a vector, not empty
//
// To stop a task at a time, with_deadline is simpler.
#pragma once

#include <cstddef>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "baozi/coro/group.h"
#include "baozi/coro/this_task.h"

namespace baozi {

template <class T>
struct RaceResult {
  std::size_t index = 0;  // the winner's
  detail::NonVoid<T> value;
};

namespace detail {

template <class Variant, std::size_t I, class T>
void take_if_won(const Group& group, Task<T>& task, std::optional<Variant>& result) {
  if (group.decided_by(task)) result.emplace(std::in_place_index<I>, take_result(task));
}

template <class Variant, std::size_t... I, class... Ts>
Variant take_winner(const Group& group, std::index_sequence<I...>, Task<Ts>&... tasks) {
  std::optional<Variant> result;
  (take_if_won<Variant, I>(group, tasks, result), ...);
  return std::move(*result);
}

}  // namespace detail

template <class... Ts>
  requires(sizeof...(Ts) > 0)
Task<std::variant<detail::NonVoid<Ts>...>> race(Task<Ts>... tasks) {
  const Context& context = co_await this_context();
  Executor& here = co_await this_executor();
  detail::Group group(context, here, detail::Group::StopAt::kFirstEnd);
  (group.start(tasks), ...);
  co_await group.join();
  using Result = std::variant<detail::NonVoid<Ts>...>;
  co_return detail::take_winner<Result>(group, std::index_sequence_for<Ts...>(), tasks...);
}

template <class T>
Task<RaceResult<T>> race(std::vector<Task<T>> tasks) {
  if (tasks.empty()) throw Error(Code::kInvalidArgument, "a race needs at least one task");
  const Context& context = co_await this_context();
  Executor& here = co_await this_executor();
  detail::Group group(context, here, detail::Group::StopAt::kFirstEnd);
  for (Task<T>& task : tasks) group.start(task);
  co_await group.join();
  std::size_t winner = 0;
  while (!group.decided_by(tasks[winner])) ++winner;
  co_return RaceResult<T>{winner, detail::take_result(tasks[winner])};
}

}  // namespace baozi
