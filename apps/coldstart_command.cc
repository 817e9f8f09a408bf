// baozi coldstart: starts a server again and again, asks it something at once, and shows where the
// time went.
#include <fcntl.h>
#include <fmt/format.h>
#include <simdjson.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "apps/commands.h"
#include "apps/waterfall.h"
#include "baozi/api/json_writer.h"
#include "baozi/base/clock.h"
#include "baozi/base/error.h"
#include "baozi/coro/asio/asio_executor.h"
#include "baozi/coro/sleep.h"
#include "baozi/coro/sync_wait.h"
#include "baozi/coro/with_deadline.h"
#include "baozi/net/http_client.h"
#include "baozi/serve/config.h"

extern char** environ;

namespace baozi::apps {
namespace {

namespace fs = std::filesystem;
namespace dom = simdjson::dom;
using std::chrono::milliseconds;

struct ColdstartOptions {
  std::string path;
  std::string model;
  std::string svg;
  int runs = 5;
  bool cold_disk = false;
};

struct Run {
  double listening = 0;  // milliseconds since exec, as all
  double answers = 0;    // it would answer
  double ready = 0;
  double first_answer = 0;
  std::vector<Bar> bars;
};

constexpr Duration kStartMax = std::chrono::minutes(10);

double since(Time start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

// A `baozi serve` of this very program, ended with the object.
class Child {
 public:
  explicit Child(const std::string& path) : start_(Clock::now()) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw Error(Code::kResourceExhausted, "no pipe is left");
    log_ = ends[0];
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
    ::posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    std::vector<std::string> words = {"baozi", "serve",       path,  "--http-port",
                                      "0",     "--log-level", "info"};
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    start_ = Clock::now();
    const int failed =
        ::posix_spawn(&pid_, "/proc/self/exe", &actions, nullptr, arguments.data(), environ);
    ::posix_spawn_file_actions_destroy(&actions);
    ::close(ends[1]);
    if (failed != 0) {
      ::close(log_);
      throw Error(Code::kInternal, "the server cannot be started");
    }
  }
  ~Child() {
    ::kill(pid_, SIGTERM);
    if (reader_.joinable()) reader_.join();
    ::waitpid(pid_, nullptr, 0);
    ::close(log_);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  Time start() const noexcept { return start_; }

  // Reads its log until it says where it listens; the rest is read away in the background.
  std::uint16_t wait_port() {
    constexpr std::string_view kSays = "listening on http://";
    std::string said;
    for (;;) {
      char part[4096];
      const ssize_t count = ::read(log_, part, sizeof part);
      if (count <= 0)
        throw Error(Code::kFailedPrecondition, "the server ended before it listened:\n" + said);
      said.append(part, static_cast<std::size_t>(count));
      const std::size_t at = said.find(kSays);
      if (at == std::string::npos || said.find('\n', at) == std::string::npos) continue;
      const std::size_t colon = said.find(':', at + kSays.size());
      reader_ = std::thread([this] {
        char rest[4096];
        while (::read(log_, rest, sizeof rest) > 0) {
        }
      });
      return static_cast<std::uint16_t>(std::stoi(said.substr(colon + 1)));
    }
  }

 private:
  Time start_;
  pid_t pid_ = -1;
  int log_ = -1;
  std::thread reader_;
};

// Lets the system forget what it read of the files, as far as a user may.
void drop_from_cache(const fs::path& path) {
  const auto drop = [](const fs::path& file) {
    const int opened = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
    if (opened < 0) return;
    ::posix_fadvise(opened, 0, 0, POSIX_FADV_DONTNEED);
    ::close(opened);
  };
  const serve::Config config = serve::config_for(path);
  for (const serve::ModelConfig& model : config.models) {
    if (!fs::is_directory(model.path)) {
      drop(model.path);
      continue;
    }
    for (const auto& entry : fs::recursive_directory_iterator(model.path)) {
      if (entry.is_regular_file()) drop(entry.path());
    }
  }
}

net::HttpReply expect(net::HttpReply reply, const std::string& what) {
  if (reply.status == 200) return reply;
  throw Error(Code::kFailedPrecondition,
              fmt::format("{} was answered with {}: {}", what, reply.status, reply.body));
}

// The smallest request that fits the metadata: one row of zeros, or of short texts.
std::string sample_request(const dom::element& metadata) {
  std::string body = R"({"inputs":[)";
  bool first = true;
  for (const dom::element input : metadata["inputs"].get_array()) {
    if (!std::exchange(first, false)) body += ',';
    std::uint64_t count = 1;
    std::string shape;
    for (const dom::element dim : input["shape"].get_array()) {
      const std::int64_t size = std::max<std::int64_t>(dim.get_int64(), 1);
      count *= static_cast<std::uint64_t>(size);
      shape += (shape.empty() ? "" : ",") + std::to_string(size);
    }
    const std::string_view datatype = input["datatype"].get_string();
    const char* value = datatype == "BYTES" ? R"("bun")" : datatype == "BOOL" ? "true" : "1";
    body += R"({"name":)";
    api::append_json_text(body, input["name"].get_string());
    body += fmt::format(R"(,"shape":[{}],"datatype":"{}","data":[)", shape, datatype);
    for (std::uint64_t i = 0; i < count; ++i) {
      if (i > 0) body += ',';
      body += value;
    }
    body += "]}";
  }
  body += "]}";
  return body;
}

std::vector<Bar> bars_of(const dom::element& start, const Run& run) {
  std::vector<Bar> bars;
  for (const dom::element phase : start["phases"].get_array()) {
    const std::string_view subject = phase["subject"].get_string();
    std::string name(phase["name"].get_string().value());
    if (!subject.empty()) name += " " + std::string(subject);
    bars.push_back({std::move(name), phase["start_ms"].get_double(), phase["end_ms"].get_double()});
  }
  bars.push_back({"first answer", run.answers, run.first_answer});
  return bars;
}

Task<void> measure(AsioExecutor* io, std::uint16_t port, std::string model, Time start, Run* run) {
  net::HttpClient client(*io, "127.0.0.1", port);
  simdjson::dom::parser parser;
  net::HttpReply health = co_await client.get("/health");
  if (model.empty()) {
    const dom::element models = parser.parse(health.body)["models"];
    model = std::string(models.at(0)["name"].get_string().value());
  }
  // A model answers before it is ready: its metadata are there from then on.
  const std::string path = "/v2/models/" + model;
  net::HttpReply metadata;
  for (;;) {
    metadata = co_await client.get(path);
    if (metadata.status == 200) break;
    health = co_await client.get("/health");
    const dom::element all = parser.parse(health.body)["models"];
    for (const dom::element each : all.get_array()) {
      if (each["name"].get_string().value() == model &&
          each["state"].get_string().value() == "FAILED")
        throw Error(Code::kFailedPrecondition, std::string(each["reason"].get_string().value()));
    }
    co_await sleep_for(milliseconds(1));
  }
  run->answers = since(start);
  const dom::element facts = parser.parse(metadata.body);
  net::HttpReply answer;
  if (facts["platform"].get_string().value() == "llama_gguf") {
    std::string body = R"({"prompt":"Hello","max_tokens":1,"model":)";
    api::append_json_text(body, model);
    body += '}';
    answer =
        co_await client.request(net::HttpMethod::kPost, "/v1/completions", {}, std::move(body));
  } else {
    std::string body = sample_request(facts);
    answer = co_await client.request(net::HttpMethod::kPost, path + "/infer", {}, std::move(body));
  }
  run->first_answer = since(start);
  (void)expect(std::move(answer), "the first request");
  for (;;) {
    const net::HttpReply ready = co_await client.get(path + "/ready");
    if (ready.status == 200) break;
    co_await sleep_for(milliseconds(1));
  }
  run->ready = since(start);
  net::HttpReply record = co_await client.get("/v2/coldstart");
  record = expect(std::move(record), "/v2/coldstart");
  run->bars = bars_of(parser.parse(record.body), *run);
}

Run start_once(const ColdstartOptions& options) {
  if (options.cold_disk) drop_from_cache(options.path);
  Run run;
  Child child(options.path);
  const std::uint16_t port = child.wait_port();
  run.listening = since(child.start());
  AsioExecutor io("io");
  std::thread loop([&io] { io.run(); });
  std::exception_ptr failed;
  try {
    sync_wait(with_timeout(measure(&io, port, options.model, child.start(), &run), kStartMax));
  } catch (...) {
    failed = std::current_exception();
  }
  io.stop();
  loop.join();
  if (failed) std::rethrow_exception(failed);
  return run;
}

int terminal_columns() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 100;
}

int coldstart(const ColdstartOptions& options) {
  std::vector<Run> runs;
  const bool terminal = ::isatty(STDOUT_FILENO) != 0;
  for (int i = 0; i < options.runs; ++i) {
    runs.push_back(start_once(options));
    if (terminal)
      fmt::print("\rrun {} of {}: {:.1f} ms", i + 1, options.runs, runs.back().first_answer);
    std::fflush(stdout);
  }
  if (terminal) fmt::print("\r\033[K");
  std::ranges::sort(runs, {}, &Run::first_answer);
  const Run& median = runs[runs.size() / 2];
  fmt::print("From exec, the median of {} runs ({:.1f} … {:.1f} ms){}:\n", runs.size(),
             runs.front().first_answer, runs.back().first_answer,
             options.cold_disk ? ", the model's files dropped from the page cache" : "");
  fmt::print(
      "  listening     {:8.1f} ms\n  first answer  {:8.1f} ms\n  ready         {:8.1f} ms\n\n",
      median.listening, median.first_answer, median.ready);
  fmt::print("{}", draw_text(median.bars, terminal_columns(), terminal));
  if (options.svg.empty()) return 0;
  std::ofstream file(options.svg);
  file << draw_svg(median.bars, fmt::format("baozi serve {}: first answer after {:.1f} ms",
                                            options.path, median.first_answer));
  if (!file.flush()) throw Error(Code::kUnavailable, options.svg + " cannot be written");
  return 0;
}

}  // namespace

void add_coldstart(CLI::App& app, Command& chosen) {
  auto options = std::make_shared<ColdstartOptions>();
  CLI::App* command =
      app.add_subcommand("coldstart", "Start a server several times and show where the time goes");
  command->add_option("path", options->path, "As for serve: a model, a folder or a config")
      ->required();
  command->add_option("--model", options->model, "Whom to ask [default: the first]");
  command->add_option("--runs", options->runs, "How often [default: 5]")
      ->check(CLI::Range(1, 1000));
  command->add_flag("--cold-disk", options->cold_disk,
                    "Drop the model's files from the page cache before each run");
  command->add_option("--svg", options->svg, "Write the waterfall to this file, too");
  command->footer(
      "Times are from the start of the server's process to the first correct answer over HTTP.\n"
      "A running server shows its own start at /v2/coldstart.");
  command->callback([options, &chosen] { chosen = [options] { return coldstart(*options); }; });
}

}  // namespace baozi::apps
