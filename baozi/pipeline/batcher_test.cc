#include "baozi/pipeline/batcher.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <queue>
#include <random>
#include <sstream>

#include "baozi/pipeline/batcher_simulation.h"

namespace baozi::pipeline {
namespace {

using namespace std::chrono_literals;

Time at_ms(double ms) {
  return Time(
      std::chrono::duration_cast<Duration>(std::chrono::duration<double, std::milli>(1e6 + ms)));
}
double to_ms(Time time) {
  return std::chrono::duration<double, std::milli>(time.time_since_epoch()).count() - 1e6;
}

// Replays a trace: event lines in, the same lines with the actions ("  -> …") after each out.
class TraceReplay {
 public:
  std::string run(const std::string& text) {
    std::istringstream lines(text);
    std::string out;
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with("  ->")) continue;
      out += line + "\n";
      if (!line.empty() && line[0] != '#') out += event(line);
    }
    return out;
  }

 private:
  static std::map<std::string, std::string> pairs(std::istringstream& words) {
    std::map<std::string, std::string> found;
    for (std::string word; words >> word;) {
      const std::size_t equal = word.find('=');
      found[word.substr(0, equal)] = word.substr(equal + 1);
    }
    return found;
  }

  std::string event(const std::string& line) {
    std::istringstream words(line);
    std::string first;
    words >> first;
    if (first == "options") {
      configure(pairs(words));
      return "";
    }
    const Time now = at_ms(std::stod(first));
    std::string kind;
    std::string subject;
    words >> kind >> subject;
    if (kind == "add") {
      add(now, std::stoull(subject), pairs(words));
    } else if (kind == "begin") {
      queue_->began(std::stoi(subject), now);
    } else if (kind == "finish" || kind == "fail") {
      queue_->finished(std::stoi(subject), now, kind == "finish");
    } else if (kind == "remove") {
      queue_->remove(handles_.at(std::stoull(subject)));
    } else if (kind != "tick") {
      ADD_FAILURE() << "unknown event: " << line;
    }
    return actions(now);
  }

  void configure(std::map<std::string, std::string> given) {
    BatchOptions options;
    const std::string policy = given["policy"];
    options.policy = policy == "size"    ? BatchPolicy::kSize
                     : policy == "delay" ? BatchPolicy::kFixedDelay
                                         : BatchPolicy::kAdaptive;
    if (given.contains("max_batch")) options.max_batch = std::stoi(given["max_batch"]);
    if (given.contains("max_delay"))
      options.max_delay = std::chrono::milliseconds(std::stoi(given["max_delay"]));
    if (given.contains("hold_share")) options.hold_share = std::stod(given["hold_share"]);
    queue_.emplace(options, given.contains("instances") ? std::stoi(given["instances"]) : 1);
  }

  void add(Time now, std::uint64_t id, std::map<std::string, std::string> given) {
    Entry entry;
    entry.id = id;
    entry.enqueued = now;
    if (given.contains("rows")) entry.rows = std::stoi(given["rows"]);
    entry.bucket = queue_->bucket(given.contains("bucket") ? std::stoull(given["bucket"]) : 0);
    if (given.contains("priority")) entry.priority = std::stoi(given["priority"]);
    if (given.contains("deadline")) entry.deadline = at_ms(std::stod(given["deadline"]));
    handles_[id] = queue_->add(entry);
  }

  static std::string ids(const std::vector<Picked>& picked) {
    std::string text;
    for (const Picked& one : picked) text += fmt::format(" {}", one.id);
    return text;
  }

  std::string actions(Time now) {
    std::string out;
    do {
      decide(*queue_, now, actions_);
      queue_->apply(actions_, now);
      if (!actions_.expired.empty()) out += fmt::format("  -> expire{}\n", ids(actions_.expired));
      if (actions_.instance >= 0) {
        out += fmt::format("  -> run on {}{}:{}\n", actions_.instance,
                           actions_.exploring ? " to learn" : "", ids(actions_.batch));
      }
    } while (actions_.any());
    if (actions_.ready_at != kNever)
      out += fmt::format("  -> ready at {:g}\n", to_ms(actions_.ready_at));
    return out;
  }

  std::optional<BatchQueue> queue_;
  std::map<std::uint64_t, Handle> handles_;
  Actions actions_;
};

std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// testdata/golden/batcher/*.txt. With BAOZI_WRITE_GOLDEN=1 the actions are written anew: read the
// difference.
TEST(Batcher, GoldenTraces) {
  const std::filesystem::path folder =
      std::filesystem::path(BAOZI_SOURCE_DIR) / "testdata/golden/batcher";
  int traces = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string expected = read_file(entry.path());
    const std::string actual = TraceReplay().run(expected);
    if (std::getenv("BAOZI_WRITE_GOLDEN") != nullptr) std::ofstream(entry.path()) << actual;
    EXPECT_EQ(actual, expected) << entry.path();
    ++traces;
  }
  EXPECT_GE(traces, 6);
}

TEST(Batcher, InvariantsHoldForRandomEvents) {
  for (std::uint32_t seed = 1; seed <= 400; ++seed) {
    std::mt19937 random(seed);
    std::vector<std::uint8_t> events(4 + 3 * 400);
    for (std::uint8_t& event : events) event = static_cast<std::uint8_t>(random());
    EXPECT_EQ(BatcherSimulation().run(events), "") << "seed " << seed;
  }
}

TEST(Batcher, ForgetsTheLeastUsedShapesFirst) {
  BatchQueue queue({}, 1);
  for (std::uint64_t key = 0; key < BatchQueue::kBucketsMax; ++key) queue.bucket(key);
  const std::uint32_t kept = queue.bucket(0);
  queue.add({.id = 1, .bucket = kept});
  for (std::uint64_t key = 1000; key < 1000 + 2 * BatchQueue::kBucketsMax; ++key) {
    const std::uint32_t bucket = queue.bucket(key);
    ASSERT_NE(bucket, kept);
    ASSERT_NE(bucket, BatchQueue::kNoBucket);
  }
  EXPECT_EQ(queue.bucket(0), kept);
}

// A closed loop in virtual time: `clients` send one row, wait for the answer and come back after
// `turnaround`.
struct ClosedLoop {
  BatchOptions options;
  int instances = 1;
  int clients = 16;
  Duration turnaround = 200us;
  std::function<double(int rows)> latency_ms;
  double spread = 0.05;  // of the latencies

  // Rows per second, once warm.
  double throughput() const {
    enum class Kind { kArrive, kFinish, kWake };
    struct Event {
      Time time;
      int order;
      Kind kind;
      int subject;
      bool operator>(const Event& other) const {
        return std::tie(time, order) > std::tie(other.time, other.order);
      }
    };
    BatchQueue queue(options, instances);
    const std::uint32_t bucket = queue.bucket(1);
    std::priority_queue<Event, std::vector<Event>, std::greater<>> events;
    std::vector<int> rows(static_cast<std::size_t>(instances));
    std::mt19937 random(7);
    std::uniform_real_distribution<double> noise(1 - spread, 1 + spread);
    int order = 0;
    const Time begin = at_ms(0);
    for (int i = 0; i < clients; ++i) events.push({begin + i * 20us, order++, Kind::kArrive, i});
    Actions actions;
    std::int64_t answered = 0;
    const Time warm = begin + 30s;
    const Time end = warm + 60s;
    Time now = begin;
    while (now < end) {
      const Event event = events.top();
      events.pop();
      now = event.time;
      if (event.kind == Kind::kArrive)
        queue.add({.id = 1, .rows = 1, .bucket = bucket, .enqueued = now});
      if (event.kind == Kind::kFinish) {
        const int done = rows[static_cast<std::size_t>(event.subject)];
        if (now >= warm) answered += done;
        queue.finished(event.subject, now, true);
        // Answers leave one after the other.
        for (int i = 0; i < done; ++i)
          events.push({now + turnaround + i * 30us, order++, Kind::kArrive, 0});
      }
      do {
        decide(queue, now, actions);
        queue.apply(actions, now);
        if (actions.instance < 0) continue;
        rows[static_cast<std::size_t>(actions.instance)] = actions.rows;
        const double ms = latency_ms(actions.rows) * noise(random);
        const auto took =
            std::chrono::duration_cast<Duration>(std::chrono::duration<double, std::milli>(ms));
        events.push({now + took, order++, Kind::kFinish, actions.instance});
      } while (actions.any());
      if (actions.ready_at != kNever) events.push({actions.ready_at, order++, Kind::kWake, 0});
    }
    return static_cast<double>(answered) / std::chrono::duration<double>(end - warm).count();
  }

  // The best rate that a loop without a batcher reaches with batches of one size, every instance
  // always busy.
  double bare() const {
    double best = 0;
    for (int n = 1; n <= options.max_batch && n * instances <= clients; ++n) {
      best = std::max(best, instances * n * 1000 / latency_ms(n));
    }
    return best;
  }
};

TEST(Batcher, KeepsUpWithTheBestBareLoop) {
  // As measured: EfficientNet, where batches of 1, 2 and 8 give 154, 164 and 111 pictures a second;
  // MiniLM, where larger ones pay; and a model with a high cost a run.
  const auto convolution = [](int n) {
    return n == 1 ? 1000.0 / 77 : n * 1000.0 / (n < 4 ? 82 : n < 8 ? 70 : 55);
  };
  const auto text = [](int n) { return 2.0 + 7.75 * n; };
  const auto overhead = [](int n) { return 20.0 + 1.0 * n; };
  for (const auto& [name, latency] : std::map<std::string, std::function<double(int)>>{
           {"convolution", convolution}, {"text", text}, {"overhead", overhead}}) {
    for (const int instances : {1, 2}) {
      for (const int clients : {16, 64}) {
        const ClosedLoop loop{
            .options = {}, .instances = instances, .clients = clients, .latency_ms = latency};
        const double ratio = loop.throughput() / loop.bare();
        EXPECT_GE(ratio, 0.95) << name << ", instances " << instances << ", clients " << clients;
        std::printf("%-12s instances %d clients %2d: %.3f of the best bare loop\n", name.c_str(),
                    instances, clients, ratio);
      }
    }
  }
}

TEST(Batcher, ALonelyCallerNeverWaits) {
  const ClosedLoop loop{
      .options = {}, .instances = 2, .clients = 1, .latency_ms = [](int n) { return 2.0 + n; }};
  EXPECT_GE(loop.throughput(), 0.98 * 1000 / 3.2);
}

}  // namespace
}  // namespace baozi::pipeline
