// What tools/gdb/baozi.py is tested on: three tasks that wait, then a breakpoint.
#include <cstdio>

#include "baozi/coro/event.h"
#include "baozi/coro/lane.h"
#include "baozi/coro/nursery.h"
#include "baozi/coro/sync_wait.h"
#include "baozi/coro/this_task.h"
#include "baozi/coro/thread_pool.h"
#include "baozi/coro/when_all.h"

namespace {

using namespace baozi;

Task<int> innermost(Event* event) {
  co_await event->wait();  // line: innermost
  co_return 1;
}
Task<int> middle(Event* event) {
  int x = co_await innermost(event);  // line: middle
  co_return x + 1;
}
Task<void> outer(Event* event) {
  int x = co_await middle(event);  // line: outer
  std::printf("%d\n", x);
}
Task<int> one_of_all(Event* event) {
  co_await event->wait();  // line: one_of_all
  co_return 0;
}

}  // namespace

// Where gdb stops.
extern "C" [[gnu::noinline]] void stop_here() { std::puts("all wait"); }

namespace {

Task<void> together(Event* event) {
  std::tuple<int, int> both =
      co_await when_all(one_of_all(event), one_of_all(event));  // line: together
  std::printf("%d\n", std::get<0>(both));
}

// On the same executor as the others, after them: when this runs, they wait.
Task<void> stop_then_go(Event* event) {
  for (int i = 0; i < 10; ++i) co_await yield();
  stop_here();
  event->set();
}

Task<void> all() {
  const Context& context = co_await this_context();
  Executor& here = co_await this_executor();
  Event event;
  Nursery nursery(context, here);
  nursery.spawn(outer(&event));
  nursery.spawn(together(&event));
  nursery.spawn(stop_then_go(&event));
  co_await nursery.join();  // line: all
}

}  // namespace

int main() {
  Lane lane("the-lane");
  sync_wait(all().on(lane));
}
