#include "tools/bench/load/load.h"

#include <fmt/format.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <memory>
#include <stdexcept>
#include <thread>

#include "tools/bench/load/server_process.h"

namespace baozi::load {
namespace {

using Seconds = std::chrono::duration<double>;

// Connections in an epoll, each known by its number.
class Crowd {
 public:
  explicit Crowd(const Target& target) : target_(target), epoll_(epoll_create1(EPOLL_CLOEXEC)) {}
  ~Crowd() { close(epoll_); }
  Crowd(const Crowd&) = delete;
  Crowd& operator=(const Crowd&) = delete;

  void open(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      members_.push_back(std::make_unique<ClientConnection>(target_));
      watch(i, EPOLL_CTL_ADD);
    }
  }
  void reopen(std::size_t i) {
    members_[i] = std::make_unique<ClientConnection>(
        target_);  // closing the old one took it out of the epoll
    watch(i, EPOLL_CTL_ADD);
  }
  std::size_t size() const { return members_.size(); }
  ClientConnection& operator[](std::size_t i) { return *members_[i]; }

  // Calls `ready(i)` for those that can go on, waiting for at most `milliseconds`.
  template <class F>
  void poll(int milliseconds, F ready) {
    epoll_event events[256];
    const int count = epoll_wait(epoll_, events, 256, milliseconds);
    if (count < 0 && errno != EINTR) throw std::runtime_error("epoll_wait failed");
    for (int i = 0; i < count; ++i) ready(static_cast<std::size_t>(events[i].data.u64));
  }

 private:
  void watch(std::size_t i, int operation) {
    epoll_event event{};
    event.events = EPOLLIN | EPOLLOUT | EPOLLET;  // edges: writable is told once when it matters
    event.data.u64 = i;
    if (epoll_ctl(epoll_, operation, members_[i]->descriptor(), &event) != 0)
      throw std::runtime_error("epoll_ctl failed");
  }

  const Target& target_;
  int epoll_;
  std::vector<std::unique_ptr<ClientConnection>> members_;
};

struct Tally {
  std::vector<float> seconds;
  std::map<int, std::size_t> by_status;
  std::size_t disconnects = 0;
};

// Keeps every connection asking until `end`.
Tally ask_until(Crowd& crowd, const std::string& request, Clock::time_point end) {
  Tally tally;
  while (Clock::now() < end) {
    crowd.poll(10, [&](std::size_t i) {
      switch (crowd[i].advance()) {
        case ClientConnection::Event::kNothing:
          return;
        case ClientConnection::Event::kAnswer:
          tally.seconds.push_back(
              std::chrono::duration<float>(Clock::now() - crowd[i].asked_at()).count());
          ++tally.by_status[crowd[i].status()];
          break;
        case ClientConnection::Event::kClosed:
          ++tally.disconnects;
          crowd.reopen(i);
          break;
      }
      crowd[i].ask(request);
    });
  }
  return tally;
}

}  // namespace

std::string request_text(const Options& options, const std::string& method, const std::string& path,
                         const std::string& body) {
  std::string text = fmt::format("{} {} HTTP/1.1\r\nHost: {}:{}\r\n", method, path,
                                 options.target.host, options.target.port);
  if (!body.empty() || method == "POST") {
    for (const std::string& header : options.headers) text += header + "\r\n";
    text += fmt::format("Content-Length: {}\r\n", body.size());
  }
  return text + "\r\n" + body;
}

std::string latency_json(std::vector<float>& seconds) {
  std::sort(seconds.begin(), seconds.end());
  const auto at = [&](double quantile) {
    if (seconds.empty()) return 0.0;
    const auto index = static_cast<std::size_t>(quantile * static_cast<double>(seconds.size()));
    return 1e6 * static_cast<double>(seconds[std::min(index, seconds.size() - 1)]);
  };
  return fmt::format(R"({{"median":{:.1f},"p90":{:.1f},"p99":{:.1f},"max":{:.1f}}})", at(0.5),
                     at(0.9), at(0.99), at(1));
}

std::string run_closed(const Options& options) {
  const std::string request =
      request_text(options, options.method, options.target.path, options.body);
  Crowd crowd(options.target);
  crowd.open(options.connections);
  for (std::size_t i = 0; i < crowd.size(); ++i) crowd[i].ask(request);
  if (options.warm_up > Seconds(0)) {
    ask_until(crowd, request,
              Clock::now() + std::chrono::duration_cast<Clock::duration>(options.warm_up));
  }
  const std::uint64_t cpu_before = cpu_us(options.server_pid);
  const Clock::time_point begin = Clock::now();
  Tally tally = ask_until(crowd, request,
                          begin + std::chrono::duration_cast<Clock::duration>(options.duration));
  const double elapsed = Seconds(Clock::now() - begin).count();
  const auto answers = static_cast<double>(tally.seconds.size());
  const auto cpu = static_cast<double>(cpu_us(options.server_pid) - cpu_before);

  std::size_t errors = tally.disconnects;
  std::string statuses;
  for (const auto& [status, count] : tally.by_status) {
    statuses += fmt::format("{}\"{}\":{}", statuses.empty() ? "" : ",", status, count);
    if (status < 200 || status > 299) errors += count;
  }
  return fmt::format(
      R"({{"mode":"closed","connections":{},"seconds":{:.3f},"requests":{},"requests_per_s":{:.1f},"latency_us":{},)"
      R"("errors":{},"disconnects":{},"by_status":{{{}}},"server_cpu_us_per_request":{}}})",
      options.connections, elapsed, tally.seconds.size(), answers / elapsed,
      latency_json(tally.seconds), errors, tally.disconnects, statuses,
      options.server_pid == 0 || answers == 0 ? std::string("null")
                                              : fmt::format("{:.2f}", cpu / answers));
}

std::string run_held(const Options& options) {
  using namespace std::chrono_literals;
  const std::string held = request_text(options, options.method, options.target.path, options.body);
  const std::string health = request_text(options, "GET", options.health_path, "");

  Crowd doctor(options.target);
  doctor.open(1);
  doctor[0].ask(health);
  ask_until(doctor, health, Clock::now() + 200ms);
  const std::uint64_t rss_before = resident_bytes(options.server_pid);
  Crowd crowd(options.target);
  crowd.open(options.connections);
  std::this_thread::sleep_for(500ms);
  const std::uint64_t rss_connected = resident_bytes(options.server_pid);
  for (std::size_t i = 0; i < crowd.size(); ++i) crowd[i].ask(held);
  std::this_thread::sleep_for(1s);
  const std::uint64_t rss_held = resident_bytes(options.server_pid);

  std::vector<float> seconds;
  std::size_t errors = 0;
  const Clock::time_point end =
      Clock::now() + std::chrono::duration_cast<Clock::duration>(options.duration);
  doctor.reopen(0);
  while (Clock::now() < end) {
    doctor[0].ask(health);
    bool answered = false;
    while (!answered) {
      doctor.poll(1000, [&](std::size_t) {
        const ClientConnection::Event event = doctor[0].advance();
        if (event == ClientConnection::Event::kClosed)
          throw std::runtime_error("the health check's connection was closed");
        answered = answered || event == ClientConnection::Event::kAnswer;
      });
    }
    seconds.push_back(std::chrono::duration<float>(Clock::now() - doctor[0].asked_at()).count());
    if (doctor[0].status() != 200) ++errors;
    std::this_thread::sleep_for(2ms);
  }

  std::size_t still_held = crowd.size();
  crowd.poll(0, [&](std::size_t i) {
    if (crowd[i].advance() != ClientConnection::Event::kNothing) --still_held;
  });
  const auto each = [&](std::uint64_t now) {
    return (static_cast<double>(now) - static_cast<double>(rss_before)) /
           static_cast<double>(options.connections);
  };
  return fmt::format(
      R"({{"mode":"held","connections":{},"still_held":{},"health_checks":{},"health_errors":{},"health_latency_us":{},)"
      R"("rss_before":{},"rss_connected":{},"rss_held":{},"bytes_per_idle_connection":{:.0f},"bytes_per_held_request":{:.0f}}})",
      options.connections, still_held, seconds.size(), errors, latency_json(seconds), rss_before,
      rss_connected, rss_held, each(rss_connected), each(rss_held));
}

}  // namespace baozi::load
