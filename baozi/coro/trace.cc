#include "baozi/coro/trace.h"

#include <fmt/format.h>
#include <pthread.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <utility>

namespace baozi {

void RequestTrace::add(const char* name, Time start, Time end) noexcept {
  const std::uint32_t index = count_.fetch_add(1, std::memory_order_acq_rel);
  if (index >= kStagesMax) return;
  if (Stage* const stage = slot(index)) *stage = Stage{name, start, end, trace::thread_number()};
}

RequestTrace::~RequestTrace() {
  for (const std::atomic<Stage*>& block : later_) delete[] block.load(std::memory_order_relaxed);
}

// Null when there is no memory for it.
RequestTrace::Stage* RequestTrace::slot(std::uint32_t index) noexcept {
  if (index < kFirst) return &first_[index];
  index -= kFirst;
  std::atomic<Stage*>& block = later_[index / kBlock];
  Stage* stages = block.load(std::memory_order_acquire);
  if (stages == nullptr) {
    auto* const fresh = new (std::nothrow) Stage[kBlock];
    if (fresh == nullptr) return nullptr;
    if (block.compare_exchange_strong(stages, fresh, std::memory_order_acq_rel)) {
      stages = fresh;
    } else {
      delete[] fresh;
    }
  }
  return &stages[index % kBlock];
}

std::vector<RequestTrace::Stage> RequestTrace::stages() const {
  const std::uint32_t count = std::min(count_.load(std::memory_order_acquire), kStagesMax);
  std::vector<Stage> stages;
  stages.reserve(count);
  for (std::uint32_t index = 0; index < count; ++index) {
    if (const Stage* const stage = find(index)) stages.push_back(*stage);
  }
  return stages;
}

// Null when there was no memory for it.
const RequestTrace::Stage* RequestTrace::find(std::uint32_t index) const noexcept {
  if (index < kFirst) return &first_[index];
  index -= kFirst;
  const Stage* const stages = later_[index / kBlock].load(std::memory_order_acquire);
  return stages != nullptr ? &stages[index % kBlock] : nullptr;
}

std::uint32_t RequestTrace::dropped() const noexcept {
  const std::uint32_t count = count_.load(std::memory_order_relaxed);
  return count > kStagesMax ? count - kStagesMax : 0;
}

std::uint64_t RequestTrace::next_id() noexcept {
  static std::atomic<std::uint64_t> next{1};
  return next.fetch_add(1, std::memory_order_relaxed);
}

namespace trace {
namespace {

// One event in a ring, written by its thread and read by anyone: every word is atomic, and a reader
// drops what the writer may have overwritten meanwhile.
struct Slot {
  std::atomic<std::int64_t> time;
  std::atomic<std::uint64_t> request_and_kind;  // kind in the lowest bit
  std::atomic<const void*> frame;
  std::atomic<const void*> root;
  std::atomic<std::source_location> site;
};
static_assert(sizeof(std::source_location) == sizeof(void*));

class Ring {
 public:
  static constexpr std::uint64_t kCapacity = 1 << 15;

  explicit Ring(std::uint32_t thread) : thread_(thread), slots_(kCapacity) {}

  void write(EventKind kind, std::uint64_t request, const void* frame, const void* root,
             std::source_location site) noexcept {
    const std::uint64_t at = head_.load(std::memory_order_relaxed);
    Slot& slot = slots_[at % kCapacity];
    slot.time.store(Clock::now().time_since_epoch().count(), std::memory_order_relaxed);
    slot.request_and_kind.store(request << 1 | static_cast<std::uint64_t>(kind),
                                std::memory_order_relaxed);
    slot.frame.store(frame, std::memory_order_relaxed);
    slot.root.store(root, std::memory_order_relaxed);
    slot.site.store(site, std::memory_order_relaxed);
    head_.store(at + 1, std::memory_order_release);
  }

  void read(Time since, std::vector<Event>& into) const {
    const std::uint64_t end = head_.load(std::memory_order_acquire);
    const std::uint64_t begin = end > kCapacity ? end - kCapacity : 0;
    const auto first = static_cast<std::ptrdiff_t>(into.size());
    for (std::uint64_t at = begin; at < end; ++at) {
      const Slot& slot = slots_[at % kCapacity];
      const std::uint64_t word = slot.request_and_kind.load(std::memory_order_relaxed);
      into.push_back({static_cast<EventKind>(word & 1), thread_, word >> 1,
                      slot.frame.load(std::memory_order_relaxed),
                      slot.root.load(std::memory_order_relaxed),
                      slot.site.load(std::memory_order_relaxed),
                      Time(Duration(slot.time.load(std::memory_order_relaxed)))});
    }
    // Slots below this were possibly rewritten while we read; one more for the write in progress.
    std::atomic_thread_fence(std::memory_order_acquire);
    const std::uint64_t now = head_.load(std::memory_order_relaxed) + 1;
    const std::uint64_t valid = now > kCapacity ? now - kCapacity : 0;
    const auto torn = static_cast<std::ptrdiff_t>(std::clamp(valid, begin, end) - begin);
    into.erase(into.begin() + first, into.begin() + first + torn);
    into.erase(std::remove_if(into.begin() + first, into.end(),
                              [&](const Event& e) { return e.time < since; }),
               into.end());
  }

 private:
  std::uint32_t thread_;
  std::vector<Slot> slots_;
  std::atomic<std::uint64_t> head_{0};
};

struct Threads {
  std::mutex mutex;
  std::vector<std::shared_ptr<Ring>> rings;    // guarded by mutex; kept after their threads ended
  std::map<std::uint32_t, std::string> names;  // guarded by mutex
};

Threads& threads() {
  static auto* instance = new Threads;
  return *instance;
}

// Made at a thread's first event, so that programs that never record pay no memory.
Ring* this_ring() noexcept {
  thread_local std::shared_ptr<Ring> ring;
  if (!ring) {
    try {
      ring = std::make_shared<Ring>(thread_number());
      const std::lock_guard lock(threads().mutex);
      threads().rings.push_back(ring);
    } catch (const std::bad_alloc&) {
      return nullptr;
    }
  }
  return ring.get();
}

std::string json_text(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) >= 0x20) out += c;
  }
  return out;
}

// "baozi::pipeline::ocr" out of a compiler's whole signature.
std::string_view short_function(std::string_view name) noexcept {
  const std::size_t paren = name.find('(');
  if (paren != std::string_view::npos) name = name.substr(0, paren);
  const std::size_t space = name.rfind(' ');
  return space == std::string_view::npos ? name : name.substr(space + 1);
}

std::string_view file_name(std::string_view path) noexcept {
  return path.substr(path.rfind('/') + 1);
}

std::string label(std::source_location site) {
  return json_text(fmt::format("{} {}:{}", short_function(site.function_name()),
                               file_name(site.file_name()), site.line()));
}

// A track's id: the request's number for the first task seen of it, then number.1, number.2 …
class TrackNames {
 public:
  std::string id_of(const Event& event) {
    std::map<const void*, std::size_t>& roots = roots_[event.request];
    const std::size_t index = roots.emplace(event.root, roots.size()).first->second;
    return index == 0 ? std::to_string(event.request) : fmt::format("{}.{}", event.request, index);
  }

 private:
  std::map<std::uint64_t, std::map<const void*, std::size_t>> roots_;
};

double micros(Time time) {
  return std::chrono::duration<double, std::micro>(time.time_since_epoch()).count();
}

}  // namespace

std::uint32_t thread_number() noexcept {
  static std::atomic<std::uint32_t> next{1};
  thread_local const std::uint32_t number = next.fetch_add(1, std::memory_order_relaxed);
  return number;
}

void set_thread_name(std::string name) {
  pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
  const std::lock_guard lock(threads().mutex);
  threads().names[thread_number()] = std::move(name);
}

void record(EventKind kind, const RequestTrace* request, const void* frame, const void* root,
            std::source_location site) noexcept {
  if (Ring* ring = this_ring())
    ring->write(kind, request != nullptr ? request->id() : 0, frame, root, site);
}

Recording::Recording() { g_recordings.fetch_add(1, std::memory_order_relaxed); }
Recording::~Recording() { g_recordings.fetch_sub(1, std::memory_order_relaxed); }

std::vector<Event> Recording::events() const {
  std::vector<std::shared_ptr<Ring>> rings;
  {
    const std::lock_guard lock(threads().mutex);
    rings = threads().rings;
  }
  std::vector<Event> events;
  for (const auto& ring : rings) ring->read(start_, events);
  // A stable sort by hand: libstdc++'s own uses what C++17 deprecated, which Clang reports.
  std::vector<std::pair<Time, std::size_t>> order;
  order.reserve(events.size());
  for (std::size_t i = 0; i < events.size(); ++i) order.emplace_back(events[i].time, i);
  std::ranges::sort(order);
  std::vector<Event> sorted;
  sorted.reserve(events.size());
  for (const auto& [time, at] : order) sorted.push_back(events[at]);
  return sorted;
}

std::vector<Event> pending(const std::vector<Event>& events) {
  std::map<const void*, const Event*> open;
  for (const Event& event : events) {
    if (event.kind == EventKind::kSuspend) {
      open[event.frame] = &event;
    } else {
      open.erase(event.frame);
    }
  }
  std::vector<Event> result;
  for (const auto& [frame, event] : open) result.push_back(*event);
  std::ranges::sort(result, {}, &Event::time);
  return result;
}

std::string to_chrome_json(const std::vector<Event>& events) {
  std::string out = R"({"displayTimeUnit":"ms","traceEvents":[)";
  out += R"({"ph":"M","name":"process_name","pid":1,"args":{"name":"baozi"}})";
  {
    const std::lock_guard lock(threads().mutex);
    for (const auto& [number, name] : threads().names) {
      fmt::format_to(
          std::back_inserter(out),
          R"(,{{"ph":"M","name":"thread_name","pid":1,"tid":{},"args":{{"name":"{}"}}}})", number,
          json_text(name));
    }
  }
  TrackNames tracks;
  std::map<const void*, const Event*> open;                 // awaits begun, by frame
  std::map<std::uint32_t, const Event*> resumed_on_thread;  // what each thread runs
  for (const Event& event : events) {
    const std::string name = label(event.site);
    if (event.kind == EventKind::kSuspend) {
      open[event.frame] = &event;
      const auto running = resumed_on_thread.find(event.thread);
      if (running != resumed_on_thread.end()) {
        fmt::format_to(
            std::back_inserter(out),
            R"(,{{"ph":"X","cat":"run","name":"{}","pid":1,"tid":{},"ts":{:.3f},"dur":{:.3f},"args":{{"request":{}}}}})",
            label(running->second->site), event.thread, micros(running->second->time),
            micros(event.time) - micros(running->second->time), running->second->request);
        resumed_on_thread.erase(running);
      }
      continue;
    }
    resumed_on_thread[event.thread] = &event;
    const auto begun = open.find(event.frame);
    if (begun == open.end()) continue;  // began before the recording
    const std::string category =
        event.request != 0 ? fmt::format("request {}", event.request) : "no request";
    const std::string id = tracks.id_of(event);
    const auto async = [&](char phase, const Event& at) {
      fmt::format_to(
          std::back_inserter(out),
          R"(,{{"ph":"{}","cat":"{}","id":"{}","name":"{}","pid":1,"tid":{},"ts":{:.3f}}})", phase,
          category, id, name, at.thread, micros(at.time));
    };
    async('b', *begun->second);
    async('e', event);
    open.erase(begun);
  }
  out += "]}\n";
  return out;
}

}  // namespace trace
}  // namespace baozi
