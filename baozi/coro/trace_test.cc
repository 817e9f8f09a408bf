#include "baozi/coro/trace.h"

#include <gtest/gtest.h>
#include <simdjson.h>

#include <map>
#include <set>

#include "baozi/coro/event.h"
#include "baozi/coro/lane.h"
#include "baozi/coro/nursery.h"
#include "baozi/coro/sync_wait.h"
#include "baozi/coro/this_task.h"
#include "baozi/coro/thread_pool.h"

namespace baozi {
namespace {

Task<void> step(Lane* lane) {
  co_await switch_to(*lane);
}
Task<void> walk(ThreadPool* pool, Lane* lane) {
  for (int i = 0; i < 5; ++i) {
    co_await switch_to(*pool);
    co_await step(lane);
  }
}
std::vector<trace::Event> of_request(const std::vector<trace::Event>& events,
                                     std::uint64_t request) {
  std::vector<trace::Event> result;
  for (const auto& event : events) {
    if (event.request == request) result.push_back(event);
  }
  return result;
}

TEST(Trace, NotesEveryAwaitOfARequestOnWhateverThread) {
  ThreadPool pool(1);
  Lane lane("lane");
  RequestTrace request;
  const Context context{{}, kNever, &request};
  const trace::Recording recording;
  sync_wait(walk(&pool, &lane), context);
  const auto events = of_request(recording.events(), request.id());
  std::map<const void*, int> open;
  std::set<std::uint32_t> threads;
  for (const auto& event : events) {
    threads.insert(event.thread);
    open[event.frame] += event.kind == trace::EventKind::kSuspend ? 1 : -1;
    EXPECT_NE(event.site.line(), 0u);
  }
  for (const auto& [frame, count] : open) EXPECT_EQ(count, 0);
  EXPECT_GE(events.size(),
            20u);  // 5 × (switch, step, switch inside), two events each, less what needed no wait
  EXPECT_GE(threads.size(), 2u);
}

TEST(Trace, NothingIsNotedWhileNobodyRecords) {
  ThreadPool pool(1);
  Lane lane("lane");
  RequestTrace request;
  const Context context{{}, kNever, &request};
  sync_wait(walk(&pool, &lane), context);
  EXPECT_FALSE(trace::enabled());
  const trace::Recording recording;
  EXPECT_TRUE(of_request(recording.events(), request.id()).empty());
}

TEST(Trace, TheChromeFormHasOneTrackForARequest) {
  ThreadPool pool(1);
  Lane lane("la\"ne");
  RequestTrace request;
  const Context context{{}, kNever, &request};
  const trace::Recording recording;
  sync_wait(walk(&pool, &lane), context);
  const std::string json = trace::to_chrome_json(recording.events());
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  ASSERT_EQ(parser.parse(json).get(root), simdjson::SUCCESS) << json;
  int begins = 0;
  int ends = 0;
  std::set<std::int64_t> threads;
  const std::string id = std::to_string(request.id());
  for (const simdjson::dom::element event : root["traceEvents"].get_array()) {
    const std::string_view phase = event["ph"].get_string();
    if (phase != "b" && phase != "e") continue;
    if (std::string_view(event["id"].get_string()) != id) continue;
    EXPECT_EQ(std::string_view(event["cat"].get_string()), "request " + id);
    EXPECT_FALSE(std::string_view(event["name"].get_string()).empty());
    threads.insert(event["tid"].get_int64());
    ++(phase == "b" ? begins : ends);
  }
  EXPECT_GE(begins, 10);
  EXPECT_EQ(begins, ends);
  EXPECT_GE(threads.size(), 2u);
}

Task<void> waits_for(Event* event) {
  co_await event->wait();
}
Task<void> look_at_pending(const trace::Recording* recording, ThreadPool* pool) {
  const Context& context = co_await this_context();
  Event event;
  Nursery nursery(context, *pool);
  nursery.spawn(waits_for(&event));
  bool seen = false;
  while (!seen) {
    for (const auto& waiting : trace::pending(recording->events())) {
      seen =
          seen || std::string(waiting.site.function_name()).find("waits_for") != std::string::npos;
    }
    co_await yield();
  }
  event.set();
  co_await nursery.join();
  for (const auto& waiting : trace::pending(recording->events())) {
    EXPECT_EQ(std::string(waiting.site.function_name()).find("waits_for"), std::string::npos);
  }
}
TEST(Trace, ListsTheAwaitsThatArePending) {
  ThreadPool pool(1);
  const trace::Recording recording;
  sync_wait(look_at_pending(&recording, &pool));
}

TEST(RequestTrace, KeepsItsStagesAndCountsThoseTooMany) {
  RequestTrace request;
  for (std::uint32_t i = 0; i < RequestTrace::kStagesMax + 3; ++i) {
    const StageScope scope(&request, "stage");
  }
  const StageScope none(nullptr, "nothing");
  EXPECT_EQ(request.stages().size(), RequestTrace::kStagesMax);
  EXPECT_EQ(request.dropped(), 3u);
  EXPECT_LE(request.stages()[0].start, request.stages()[0].end);
}

}  // namespace
}  // namespace baozi
