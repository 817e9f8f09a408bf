// The trace of every await, and the stages of every request.
//
// Awaits: each thread keeps a ring of events (which await, of which request, suspended or resumed,
// when). Recording is off until somebody asks (`Recording`), and then costs a clock read an event;
// off, one predictable branch. One record feeds the Chrome/Perfetto JSON and the list of awaits
// that are pending.
//
// Stages: a RequestTrace holds the named stages of one request ("decode", "queue", "model"), always
// on, for the latency metrics by stage and for the timeline a client can ask for.
//
// Thread safety: all functions; a RequestTrace may be written by several tasks of its request at
// once.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <source_location>
#include <string>
#include <string_view>
#include <vector>

#include "baozi/base/clock.h"

namespace baozi {

class RequestTrace {
 public:
  static constexpr std::uint32_t kStagesMax = 48;  // later ones are counted, not kept

  struct Stage {
    const char* name = "";  // static storage
    Time start;
    Time end;
    std::uint32_t thread = 0;
  };

  explicit RequestTrace(std::uint64_t id = next_id()) noexcept : id_(id) {}
  RequestTrace(const RequestTrace&) = delete;
  RequestTrace& operator=(const RequestTrace&) = delete;
  ~RequestTrace();

  std::uint64_t id() const noexcept { return id_; }
  Time start() const noexcept { return start_; }
  // `name` must have static storage.
  void add(const char* name, Time start, Time end) noexcept;
  // Those added so far, in order of their end. Call it when the request's tasks have ended.
  std::vector<Stage> stages() const;
  std::uint32_t dropped() const noexcept;

  static std::uint64_t next_id() noexcept;

 private:
  Stage* slot(std::uint32_t index) noexcept;
  const Stage* find(std::uint32_t index) const noexcept;

  std::uint64_t id_;
  Time start_ = Clock::now();
  std::atomic<std::uint32_t> count_{0};
  // Ten thousand requests may wait at once, and one that waits has a stage or two behind it; so the
  // room for more comes when it is needed, a block at a time.
  static constexpr std::uint32_t kFirst = 2;
  static constexpr std::uint32_t kBlock = 8;
  std::array<Stage, kFirst> first_{};
  std::array<std::atomic<Stage*>, (kStagesMax - kFirst + kBlock - 1) / kBlock> later_{};
};

// Times a stage from construction to destruction; does nothing for a null trace.
//   { const StageScope scope(context.trace, "decode"); image = decode(bytes); }
class StageScope {
 public:
  StageScope(RequestTrace* trace, const char* name) noexcept
      : trace_(trace), name_(name), start_(trace != nullptr ? Clock::now() : Time()) {}
  StageScope(const StageScope&) = delete;
  StageScope& operator=(const StageScope&) = delete;
  ~StageScope() {
    if (trace_ != nullptr) trace_->add(name_, start_, Clock::now());
  }

 private:
  RequestTrace* trace_;
  const char* name_;
  Time start_;
};

namespace trace {

// Small numbers for threads, in order of first use; and their names for traces.
std::uint32_t thread_number() noexcept;
void set_thread_name(std::string name);  // also the system's thread name (cut to 15 characters)

enum class EventKind : std::uint8_t { kSuspend, kResume };

struct Event {
  EventKind kind;
  std::uint32_t thread;
  std::uint64_t request;  // RequestTrace::id, 0 outside a request
  const void* frame;      // identifies the awaiting coroutine
  const void* root;       // the spawned task it works for: siblings have roots of their own
  std::source_location site;
  Time time;
};

inline std::atomic<std::uint32_t> g_recordings{0};
inline bool enabled() noexcept { return g_recordings.load(std::memory_order_relaxed) != 0; }
void record(EventKind kind, const RequestTrace* request, const void* frame, const void* root,
            std::source_location site) noexcept;

// Events are recorded while at least one Recording lives.
class Recording {
 public:
  Recording();
  ~Recording();
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;

  // What was recorded since construction and is still in the rings, by time.
  std::vector<Event> events() const;

 private:
  Time start_ = Clock::now();
};

// The suspends without a resume: what is being awaited now, oldest first.
std::vector<Event> pending(const std::vector<Event>& events);

// Chrome's trace event format, which Perfetto opens: each request is one async track (and one more
// for each task it spawned), whatever threads it ran on; awaits nest inside it; beside them a slice
// a thread for what ran there between a resume and the next suspend.
std::string to_chrome_json(const std::vector<Event>& events);

}  // namespace trace
}  // namespace baozi
