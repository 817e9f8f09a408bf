// A tour of baozi's coroutines: five requests go through a pipeline of three stages. Two are
// answered; one is cancelled by its client, one is malformed, one runs out of time. At the end, the
// overlap of the stages is drawn from the trace.
//
//   pipeline_tour [TRACE.json]   with a file name, writes every await for ui.perfetto.dev
#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "baozi/coro/event.h"
#include "baozi/coro/lane.h"
#include "baozi/coro/nursery.h"
#include "baozi/coro/semaphore.h"
#include "baozi/coro/sync_wait.h"
#include "baozi/coro/this_task.h"
#include "baozi/coro/thread_pool.h"
#include "baozi/coro/trace.h"
#include "baozi/coro/with_deadline.h"

using namespace baozi;
using namespace std::chrono_literals;

namespace {

// 1. Where things run. CPU work goes to a pool, the model to a lane: one thread, one caller at a
// time. No thread ever waits for another stage; a request that has to wait is a suspended coroutine
// of a few hundred bytes.
struct Kitchen {
  ThreadPool cpu{2, "cpu"};
  Lane model{"model"};
  // The model's queue: first come, first served, and a stop gets you out of it.
  Semaphore model_is_free{1};
  Event model_has_begun;
};

// Stands for real work, which would occupy its thread just as long.
void work_for(Duration span) { std::this_thread::sleep_for(span); }

// 2. A stage is a coroutine that returns a Task. It is lazy: nothing happens until it is awaited.
// Parameters are values.
Task<std::string> pre_process(std::string input) {
  const Context& context =
      co_await this_context();  // inherited from whoever awaits: stop token, deadline, trace
  const StageScope stage(context.trace, "pre");
  if (input.empty()) throw Error(Code::kInvalidArgument, "the input is empty; send some text");
  work_for(20ms);
  co_return "<" + input + ">";
}

Task<std::string> run_model(Kitchen* kitchen, std::string input) {
  // Awaits see the stop token by themselves: cancelled or out of time, this one throws and takes no
  // place in the queue.
  Semaphore::Permit turn = co_await kitchen->model_is_free.acquire();
  co_await switch_to(kitchen->model);  // from here on, this coroutine runs on the model's thread
  const Context& context = co_await this_context();
  const StageScope stage(context.trace, "model");
  kitchen->model_has_begun.set();
  for (int layer = 0; layer < 4; ++layer) {  // what computes for long asks now and then itself
    throw_if_stopped(context.stop);
    work_for(10ms);
  }
  for (char& c : input) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  co_return input;
}

Task<std::string> post_process(std::string output) {
  const Context& context = co_await this_context();
  const StageScope stage(context.trace, "post");
  work_for(10ms);
  co_return output + "!";
}

// 3. The pipeline reads from top to bottom. It runs on the pool: when run_model, which moved to the
// lane, returns, the pipeline goes on where it was. Each co_await is a statement of its own
// (DESIGN.md, section 4, says why).
Task<std::string> pipeline(Kitchen* kitchen, std::string input) {
  std::string prepared = co_await pre_process(std::move(input));
  std::string output = co_await run_model(kitchen, std::move(prepared));
  std::string answer = co_await post_process(std::move(output));
  co_return answer;
}

// 4. A request has its own stop source (its client may go away), its own time limit and its own
// trace.
struct Request {
  int number;
  std::string input;
  Duration limit;
  StopSource client_gone;
  RequestTrace trace;
  std::string outcome;
};

Task<void> serve(Kitchen* kitchen, Request* request) {
  const Context context{request->client_gone.token(), kNever, &request->trace};
  // with_timeout stops the pipeline when the time is over, waits for it to end, and throws
  // kDeadlineExceeded.
  Task<std::string> limited =
      with_timeout(pipeline(kitchen, request->input), request->limit).with_context(context);
  try {
    request->outcome = "answered: ";
    std::string answer = co_await std::move(limited);
    request->outcome += answer;
  } catch (const Error& error) {
    // There is one type of error; it knows its code and the awaits it passed through, across
    // threads.
    request->outcome = std::string(code_name(error.code())) + ": " + error.message();
    if (error.code() == Code::kInvalidArgument) {
      for (const auto& site : error.async_stack()) {
        const std::string file = std::filesystem::path(site.file_name()).filename();
        request->outcome +=
            "\n              left the co_await at " + file + ":" + std::to_string(site.line());
      }
    }
  }
}

Task<void> hang_up(Kitchen* kitchen, Request* request) {
  co_await kitchen->model_has_begun.wait();
  request->client_gone.request_stop();  // kCancelled: whatever the request awaits now throws
}

// 5. A nursery is the only way to run tasks side by side: all have ended when join() comes back.
// Nothing is detached.
Task<void> open_for_business(Kitchen* kitchen, std::array<Request, 5>* requests) {
  const Context& context = co_await this_context();
  Nursery nursery(context, kitchen->cpu);
  for (Request& request : *requests) nursery.spawn(serve(kitchen, &request));
  nursery.spawn(hang_up(kitchen, &(*requests)[2]));
  co_await nursery.join();
}

// 6. The trace knows when which stage of which request ran.
void draw(const std::array<Request, 5>& requests) {
  constexpr std::size_t kColumns = 66;
  const Time start = requests[0].trace.start();
  Time end = start;
  for (const Request& request : requests) {
    for (const auto& stage : request.trace.stages()) end = std::max(end, stage.end);
  }
  const auto column = [&](Time time) {
    return std::min(kColumns - 1,
                    static_cast<std::size_t>((time - start) * kColumns / (end - start)));
  };
  std::printf(
      "p pre-process on the pool   M model on its lane   o post-process on the pool   0 to %lld "
      "ms\n\n",
      static_cast<long long>(
          std::chrono::duration_cast<std::chrono::milliseconds>(end - start).count()));
  for (const Request& request : requests) {
    std::string line(kColumns, ' ');
    for (const auto& stage : request.trace.stages()) {
      const char mark = std::string(stage.name) == "pre"     ? 'p'
                        : std::string(stage.name) == "model" ? 'M'
                                                             : 'o';
      for (std::size_t i = column(stage.start); i <= column(stage.end - 1ns); ++i) line[i] = mark;
    }
    std::printf("request %d   |%s|\n", request.number, line.c_str());
  }
  std::printf("\n");
  for (const Request& request : requests)
    std::printf("request %d   %s\n", request.number, request.outcome.c_str());
}

}  // namespace

int main(int argc, char** argv) {
  Kitchen kitchen;
  const trace::Recording recording;  // off until somebody asks; then it notes every await
  std::array<Request, 5> requests{{{1, "steamed", 10s, {}, RequestTrace(), {}},
                                   {2, "fried", 10s, {}, RequestTrace(), {}},
                                   {3, "for a client who leaves", 10s, {}, RequestTrace(), {}},
                                   {4, "", 10s, {}, RequestTrace(), {}},
                                   {5, "in a hurry", 30ms, {}, RequestTrace(), {}}}};
  sync_wait(open_for_business(&kitchen, &requests));  // main and tests only: blocks this thread
  draw(requests);
  if (argc > 1) std::ofstream(argv[1]) << trace::to_chrome_json(recording.events());
  return 0;
}
