// Context: what a task inherits from the task that awaits or spawns it: when to stop, until when it
// is worth going on, and the trace of the request it works for. Nobody threads tokens by hand.
//
//   const Context& context = co_await this_context();
//   if (context.stop.stop_requested()) …
//
// A Context lives in the frame or nursery that made it and outlives the tasks that see it.
#pragma once

#include "baozi/base/clock.h"
#include "baozi/coro/stop.h"

namespace baozi {

class RequestTrace;

struct Context {
  StopToken stop;
  Time deadline = kNever;
  RequestTrace* trace = nullptr;  // null: not part of a request
};

}  // namespace baozi
