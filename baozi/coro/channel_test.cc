#include "baozi/coro/channel.h"

#include <gtest/gtest.h>

#include <memory>
#include <thread>
#include <vector>

#include "baozi/coro/event.h"
#include "baozi/coro/nursery.h"
#include "baozi/coro/semaphore.h"
#include "baozi/coro/sleep.h"
#include "baozi/coro/sync_wait.h"
#include "baozi/coro/this_task.h"
#include "baozi/coro/thread_pool.h"

namespace baozi {
namespace {

using namespace std::chrono_literals;

// --- Event

Task<void> wait_for(Event* event, std::atomic<int>* through) {
  co_await event->wait();
  through->fetch_add(1);
}
Task<void> set_for_many(ThreadPool* pool, Event* event, std::atomic<int>* through) {
  const Context& context = co_await this_context();
  Nursery nursery(context, *pool);
  for (int i = 0; i < 100; ++i) nursery.spawn(wait_for(event, through));
  co_await sleep_for(1ms);
  EXPECT_EQ(through->load(), 0);
  event->set();
  nursery.spawn(wait_for(event, through));  // comes after the set
  co_await nursery.join();
}
TEST(Event, LetsAllThroughOnceSet) {
  ThreadPool pool(2);
  Event event;
  std::atomic<int> through{0};
  sync_wait(set_for_many(&pool, &event, &through));
  EXPECT_EQ(through.load(), 101);
  event.reset();
  EXPECT_FALSE(event.is_set());
}

// The waiter destroys the event as soon as it is through.
Task<void> set_it(std::shared_ptr<Event>* event) {
  Event* raw = event->get();
  raw->set();
  co_return;
}
Task<void> destroy_after_wait(ThreadPool* pool) {
  const Context& context = co_await this_context();
  auto event = std::make_shared<Event>();
  Nursery nursery(context, *pool);
  nursery.spawn(set_it(&event));
  co_await event->wait();
  event.reset();
  co_await nursery.join();
}
TEST(Event, MayBeDestroyedByItsWaiter) {
  ThreadPool pool(2);
  for (int i = 0; i < 2000; ++i) sync_wait(destroy_after_wait(&pool));
}

Task<void> wait_counting(Event* event, std::atomic<int>* through, std::atomic<int>* stopped) {
  try {
    co_await event->wait();
    through->fetch_add(1);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kCancelled);
    stopped->fetch_add(1);
  }
}
Task<void> race_set_with_stop(ThreadPool* pool, std::atomic<int>* through,
                              std::atomic<int>* stopped) {
  Event event;
  Nursery nursery(*pool);
  for (int i = 0; i < 20; ++i) nursery.spawn(wait_counting(&event, through, stopped));
  co_await yield();
  std::thread stopper([&nursery] { nursery.stop(); });
  event.set();
  stopper.join();
  co_await nursery.join();
}
TEST(Event, AWaitEndsOnceWhenSetAndStopRace) {
  ThreadPool pool(2);
  std::atomic<int> through{0};
  std::atomic<int> stopped{0};
  for (int i = 0; i < 300; ++i) sync_wait(race_set_with_stop(&pool, &through, &stopped));
  EXPECT_EQ(through + stopped, 6000);
}

// --- Semaphore

Task<void> hold(Semaphore* slots, std::atomic<int>* holding, std::atomic<int>* most,
                std::atomic<int>* done) {
  Semaphore::Permit permit = co_await slots->acquire();
  const int now = holding->fetch_add(1) + 1;
  int seen = most->load();
  while (now > seen && !most->compare_exchange_weak(seen, now)) {
  }
  co_await yield();
  holding->fetch_sub(1);
  done->fetch_add(1);
}
Task<void> hold_all(ThreadPool* pool, Semaphore* slots, std::atomic<int>* most,
                    std::atomic<int>* done) {
  const Context& context = co_await this_context();
  std::atomic<int> holding{0};
  Nursery nursery(context, *pool);
  for (int i = 0; i < 500; ++i) nursery.spawn(hold(slots, &holding, most, done));
  co_await nursery.join();
}
TEST(Semaphore, NeverHasMoreHoldersThanPermits) {
  ThreadPool pool(3);
  Semaphore slots(2);
  std::atomic<int> most{0};
  std::atomic<int> done{0};
  sync_wait(hold_all(&pool, &slots, &most, &done));
  EXPECT_EQ(done.load(), 500);
  EXPECT_LE(most.load(), 2);
  EXPECT_GE(most.load(), 1);
  EXPECT_EQ(slots.available(), 2u);
}

Task<void> take_turn(Semaphore* slots, std::vector<int>* order, int number) {
  Semaphore::Permit permit = co_await slots->acquire();
  order->push_back(number);
}
Task<void> take_turns(Semaphore* slots, std::vector<int>* order) {
  const Context& context = co_await this_context();
  Executor& here = co_await this_executor();
  Nursery nursery(context, here);
  for (int i = 0; i < 10; ++i) nursery.spawn(take_turn(slots, order, i));
  for (int i = 0; i < 30; ++i) co_await yield();
  EXPECT_TRUE(order->empty());
  slots->release();
  co_await nursery.join();
}
TEST(Semaphore, ServesWaitersInOrder) {
  Semaphore slots(0);
  std::vector<int> order;
  sync_wait(take_turns(&slots, &order));
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
}

TEST(Semaphore, TryAcquireNeverWaits) {
  Semaphore slots(1);
  auto first = slots.try_acquire();
  EXPECT_TRUE(first.has_value());
  EXPECT_FALSE(slots.try_acquire().has_value());
  first->release();
  first->release();  // once is enough
  EXPECT_EQ(slots.available(), 1u);
}

Task<void> acquire_counting(Semaphore* slots, std::atomic<int>* got, std::atomic<int>* stopped) {
  try {
    Semaphore::Permit permit = co_await slots->acquire();
    got->fetch_add(1);
    co_await yield();
  } catch (const Error&) {
    stopped->fetch_add(1);
  }
}
Task<void> acquire_and_stop(ThreadPool* pool, Semaphore* slots, std::atomic<int>* got,
                            std::atomic<int>* stopped) {
  Nursery nursery(*pool);
  for (int i = 0; i < 50; ++i) nursery.spawn(acquire_counting(slots, got, stopped));
  co_await yield();
  nursery.stop();
  co_await nursery.join();
}
TEST(Semaphore, StopsThatRaceReleasesLoseNoPermit) {
  ThreadPool pool(2);
  Semaphore slots(3);
  std::atomic<int> got{0};
  std::atomic<int> stopped{0};
  for (int i = 0; i < 200; ++i) sync_wait(acquire_and_stop(&pool, &slots, &got, &stopped));
  EXPECT_EQ(got + stopped, 10'000);
  EXPECT_EQ(slots.available(), 3u);
}

// --- Channel

Task<void> produce(Channel<int>* channel, int first, int count) {
  for (int i = 0; i < count; ++i) co_await channel->send(first + i);
}
Task<void> consume(Channel<int>* channel, std::atomic<long>* sum, std::atomic<int>* received) {
  for (;;) {
    std::optional<int> value = co_await channel->receive();
    if (!value) co_return;
    sum->fetch_add(*value);
    received->fetch_add(1);
  }
}
Task<void> produce_all(ThreadPool* pool, Channel<int>* channel) {
  const Context& context = co_await this_context();
  Nursery producers(context, *pool);
  for (int p = 0; p < 4; ++p) producers.spawn(produce(channel, p * 5000, 5000));
  co_await producers.join();
  channel->close();
}
Task<void> exchange(ThreadPool* pool, Channel<int>* channel, std::atomic<long>* sum,
                    std::atomic<int>* received) {
  const Context& context = co_await this_context();
  Nursery nursery(context, *pool);
  for (int c = 0; c < 3; ++c) nursery.spawn(consume(channel, sum, received));
  nursery.spawn(produce_all(pool, channel));
  co_await nursery.join();
}
TEST(Channel, CarriesEveryValueOnceBetweenThreads) {
  ThreadPool pool(3);
  for (const std::size_t capacity : {1u, 7u, 1000u}) {
    Channel<int> channel(capacity);
    std::atomic<long> sum{0};
    std::atomic<int> received{0};
    sync_wait(exchange(&pool, &channel, &sum, &received));
    EXPECT_EQ(received.load(), 20'000);
    EXPECT_EQ(sum.load(), 20'000L * 19'999 / 2);
  }
}

Task<void> ping_pong(ThreadPool* pool, int rounds, long* sum);
Task<void> echo(Channel<int>* in, Channel<int>* out) {
  for (;;) {
    std::optional<int> value = co_await in->receive();
    if (!value) co_return;
    co_await out->send(*value + 1);
  }
}
Task<void> ping_pong(ThreadPool* pool, int rounds, long* sum) {
  const Context& context = co_await this_context();
  Executor& here = co_await this_executor();
  Channel<int> to(1);
  Channel<int> from(1);
  Nursery nursery(context, pool != nullptr ? static_cast<Executor&>(*pool) : here);
  nursery.spawn(echo(&to, &from));
  for (int i = 0; i < rounds; ++i) {
    co_await to.send(i);
    std::optional<int> value = co_await from.receive();
    *sum += *value;
  }
  to.close();
  co_await nursery.join();
}
// The canary of DESIGN.md section 4, rule 7, through a channel.
TEST(Channel, MillionAwaitsOfAPingPongDoNotGrowTheStack) {
  long sum = 0;
  sync_wait(ping_pong(nullptr, 500'000, &sum));
  EXPECT_EQ(sum, 500'000L * 500'001 / 2);
}
TEST(Channel, PingPongsBetweenThreads) {
  ThreadPool pool(1);
  long sum = 0;
  sync_wait(ping_pong(&pool, 20'000, &sum));
  EXPECT_EQ(sum, 20'000L * 20'001 / 2);
}

Task<void> receive_into(Channel<int>* channel, std::vector<int>* order, int who) {
  std::optional<int> value = co_await channel->receive();
  if (value) order->push_back(100 * who + *value);
}
Task<void> serve_in_order(std::vector<int>* order) {
  const Context& context = co_await this_context();
  Executor& here = co_await this_executor();
  Channel<int> channel(2);
  Nursery nursery(context, here);
  for (int i = 0; i < 4; ++i) nursery.spawn(receive_into(&channel, order, i));
  for (int i = 0; i < 10; ++i) co_await yield();
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(channel.try_send(int{i}));
  co_await nursery.join();
}
TEST(Channel, ServesReceiversInOrder) {
  std::vector<int> order;
  sync_wait(serve_in_order(&order));
  EXPECT_EQ(order, (std::vector<int>{0, 101, 202, 303}));
}

Task<void> send_in_order() {
  const Context& context = co_await this_context();
  Executor& here = co_await this_executor();
  Channel<int> channel(1);
  Nursery nursery(context, here);
  for (int i = 0; i < 4; ++i) nursery.spawn(produce(&channel, i, 1));
  for (int i = 0; i < 10; ++i) co_await yield();
  EXPECT_FALSE(channel.try_send(9)) << "full, and others wait";
  for (int i = 0; i < 4; ++i) {
    std::optional<int> value = channel.try_receive();
    EXPECT_EQ(value, i);
  }
  EXPECT_FALSE(channel.try_receive().has_value());
  co_await nursery.join();
}
TEST(Channel, ServesSendersInOrder) { sync_wait(send_in_order()); }

Task<void> send_refused(Channel<int>* channel, std::atomic<int>* refused) {
  try {
    co_await channel->send(1);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kFailedPrecondition);
    refused->fetch_add(1);
  }
}
Task<void> close_while_waiting() {
  const Context& context = co_await this_context();
  Executor& here = co_await this_executor();
  Channel<int> channel(1);
  std::atomic<int> refused{0};
  Nursery nursery(context, here);
  for (int i = 0; i < 3; ++i) nursery.spawn(send_refused(&channel, &refused));
  for (int i = 0; i < 10; ++i) co_await yield();
  channel.close();
  co_await nursery.join();
  EXPECT_EQ(refused.load(), 2);
  EXPECT_TRUE(channel.closed());
  EXPECT_FALSE(channel.try_send(2));
  std::optional<int> left = co_await channel.receive();
  EXPECT_EQ(left, 1) << "what was queued is still there";
  std::optional<int> none = co_await channel.receive();
  EXPECT_FALSE(none.has_value());
}
TEST(Channel, CloseRefusesSendersAndKeepsWhatIsQueued) { sync_wait(close_while_waiting()); }

TEST(Channel, ACapacityOfZeroIsRefused) { EXPECT_THROW(Channel<int>(0), Error); }

Task<void> send_counted(Channel<std::unique_ptr<int>>* channel, int value, std::atomic<int>* sent) {
  auto box = std::make_unique<int>(value);
  co_await channel->send(std::move(box));
  sent->fetch_add(1);
}
Task<void> receive_counted(Channel<std::unique_ptr<int>>* channel, std::atomic<int>* received) {
  std::optional<std::unique_ptr<int>> value = co_await channel->receive();
  if (value) received->fetch_add(1);
}
Task<void> stop_both_sides(ThreadPool* pool, std::atomic<int>* sent, std::atomic<int>* received,
                           std::atomic<int>* left) {
  Channel<std::unique_ptr<int>> channel(2);
  Nursery senders(*pool);
  Nursery receivers(*pool);
  for (int i = 0; i < 20; ++i) {
    senders.spawn(send_counted(&channel, i, sent));
    receivers.spawn(receive_counted(&channel, received));
  }
  co_await yield();
  senders.stop();
  receivers.stop();
  try {
    co_await senders.join();
  } catch (const Error&) {
  }
  try {
    co_await receivers.join();
  } catch (const Error&) {
  }
  while (channel.try_receive()) left->fetch_add(1);
}
TEST(Channel, StopsThatRaceExchangesLoseNoValue) {
  ThreadPool pool(2);
  std::atomic<int> sent{0};
  std::atomic<int> received{0};
  std::atomic<int> left{0};
  for (int i = 0; i < 300; ++i) sync_wait(stop_both_sides(&pool, &sent, &received, &left));
  EXPECT_EQ(sent.load(), received + left);
}

}  // namespace
}  // namespace baozi
