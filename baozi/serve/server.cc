#include "baozi/serve/server.h"

#include <algorithm>
#include <boost/asio/signal_set.hpp>
#include <chrono>
#include <csignal>
#include <exception>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "baozi/api/http_api.h"
#include "baozi/base/cold_start.h"
#include "baozi/base/cores.h"
#include "baozi/base/log.h"
#include "baozi/coro/asio/asio_await.h"
#include "baozi/coro/asio/asio_executor.h"
#include "baozi/coro/event.h"
#include "baozi/coro/nursery.h"
#include "baozi/coro/sleep.h"
#include "baozi/coro/sync_wait.h"
#include "baozi/coro/this_task.h"
#include "baozi/coro/thread_pool.h"
#include "baozi/engine/fake/fake_engine.h"
#include "baozi/fleet/steering.h"
#include "baozi/model/model_cache.h"
#include "baozi/model/repository.h"
#include "baozi/model/servable.h"
#include "baozi/net/http_server.h"
#include "baozi/net/line_server.h"
#include "baozi/pipeline/admission.h"
#include "baozi/pipeline/builtin/builtin.h"
#include "baozi/pipeline/plugin.h"
#include "baozi/redis/redis_tier.h"
#include "baozi/redis/redis_url.h"
#include "baozi/serve/engine_opener.h"
#include "baozi/serve/life_cycle.h"

namespace baozi::serve {
namespace {

int cpu_threads(const Config& config) {
  if (config.cpu_threads > 0) return config.cpu_threads;
  return usable_cores();
}

bool wants_cache(const Config& config) {
  return std::ranges::any_of(config.models, [](const ModelConfig& m) { return m.cache.on; }) ||
         std::ranges::any_of(config.pipelines, [](const PipelineConfig& p) { return p.cache.on; });
}

// The response caches; null when no model wants one.
std::unique_ptr<model::ResponseCaches> make_caches(const Config& config, Executor& cpu) {
  if (!wants_cache(config)) return nullptr;
  const CacheConfig& cache = config.cache;
  std::unique_ptr<model::SecondTier> second;
  if (!cache.redis.empty()) {
    redis::RedisTierOptions options;
    options.address = redis::parse_url(cache.redis);
    options.timeout = cache.redis_timeout;
    options.pull_max = cache.redis_pull_max;
    options.pull_bytes_max = cache.redis_pull_bytes_max;
    second = std::make_unique<redis::RedisTier>(std::move(options));
  }
  return std::make_unique<model::ResponseCaches>(
      model::ResponseCacheOptions{.bytes_max = cache.bytes_max}, cpu, std::move(second));
}

net::HttpServerOptions http_options(const HttpConfig& config) {
  net::HttpServerOptions options;
  options.host = config.host;
  options.port = config.port;
  options.connections_max = static_cast<std::size_t>(config.connections_max);
  options.body_bytes_max = config.body_bytes_max;
  options.head_timeout = config.head_timeout;
  options.idle_timeout = config.idle_timeout;
  options.stall_timeout = config.stall_timeout;
  options.body_offset_header = api::kBinaryHeader;
  return options;
}

constexpr Duration kDrainLook = std::chrono::milliseconds(20);

// What HAProxy's agent-check is answered.
class Agent final : public net::LineSource {
 public:
  Agent(const api::HttpApi& api, int connections_max)
      : api_(api), connections_max_(connections_max) {}
  std::string line() override {
    return fleet::haproxy_agent_line(fleet::steer(api_.warmth()), connections_max_);
  }

 private:
  const api::HttpApi& api_;
  const int connections_max_;
};

}  // namespace

// Members are destroyed in reverse: the I/O and HTTP side goes before what its requests use.
class Server::Impl {
 public:
  explicit Impl(Config config)
      : config_(std::move(config)),
        http_(io_, http_options(config_.http), api_),
        signals_(io_.context(), SIGTERM, SIGINT) {
    std::signal(SIGPIPE, SIG_IGN);
    ready_registry();
    std::signal(SIGXFSZ, SIG_IGN);  // a file that gets too large is an error as any other
    if (config_.fleet.agent) {
      const FleetConfig::Agent& agent = *config_.fleet.agent;
      agent_server_.emplace(io_, net::LineServerOptions{agent.host, agent.port}, agent_);
      log().info("HAProxy's agent-check is answered on {}:{}", agent.host, agent_server_->port());
    }
    // The last line of a start: whoever reads it may rely on every port.
    log().info("listening on http://{}:{}", config_.http.host, http_.port());
  }

  std::uint16_t port() const noexcept { return http_.port(); }
  model::Repository& repository() noexcept { return repository_; }
  void stop() noexcept { stop_.set(); }

  int run();

 private:
  static Task<void> serve(Impl* self);
  static Task<void> load(Impl* self);
  static Task<void> await_signals(Impl* self);
  static Task<void> let_balancers_see(Impl* self);

  Config config_;
  EngineOpener opener_{config_};
  model::Repository repository_;
  ThreadPool cpu_{cpu_threads(config_), "cpu"};
  std::unique_ptr<model::ResponseCaches> caches_ = make_caches(config_, cpu_);  // null: none
  LifeCycle life_cycle_{config_, repository_, cpu_, caches_.get()};
  pipeline::Gate gate_{{.requests_max = static_cast<std::size_t>(config_.requests_max)}};
  api::HttpApi api_{repository_,
                    {.server_version = BAOZI_VERSION,
                     .cores = usable_cores(),
                     .cpu = &cpu_,
                     .control = &life_cycle_,
                     .gate = &gate_,
                     .hold = {.requests_max = static_cast<std::size_t>(config_.hold.requests_max),
                              .timeout = config_.hold.timeout},
                     .caches = caches_.get(),
                     .reports = config_.fleet.report_always ? fleet::ReportFormat::kText
                                                            : fleet::ReportFormat::kNone}};
  Event stop_;
  std::exception_ptr fatal_;  // why the server must end; written before stop_ is set
  AsioExecutor io_{"io"};
  net::HttpServer http_;
  Agent agent_{api_, config_.fleet.connections_max};
  std::optional<net::LineServer> agent_server_;
  bool hurried_ = false;  // a second signal came; on the I/O thread
  boost::asio::signal_set signals_;
};

// A plug-in that cannot be opened ends the server; a model that cannot be loaded does not.
Task<void> Server::Impl::load(Impl* self) {
  co_await switch_to(self->cpu_);
  try {
    for (const std::filesystem::path& plugin : self->config_.plugins) {
      const cold_start::Phase phase("plugin", plugin.filename().string());
      pipeline::load_plugin(plugin);
    }
  } catch (const Error&) {
    self->fatal_ = std::current_exception();
    self->stop_.set();
    co_return;
  }
  Task<void> living = self->life_cycle_.run();
  co_await std::move(living);
}

// The first signal drains, the second ends at once what still runs.
Task<void> Server::Impl::await_signals(Impl* self) {
  const int first = co_await self->signals_.async_wait(use_task);
  log().info("{}: draining; once more to end at once",
             first == SIGINT ? "interrupted" : "asked to terminate");
  self->stop_.set();
  co_await self->signals_.async_wait(use_task);
  self->hurried_ = true;
  co_await self->http_.drain(Clock::now());
}

// Balancers ask now and then only: until they have seen that health says "draining", they send
// requests, which are answered as ever.
Task<void> Server::Impl::let_balancers_see(Impl* self) {
  const Time end = Clock::now() + self->config_.fleet.drain_delay;
  while (!self->hurried_ && Clock::now() < end) co_await sleep_for(kDrainLook);
}

Task<void> Server::Impl::serve(Impl* self) {
  const Context& context = co_await this_context();
  Nursery background(context, self->io_);
  Nursery server(context, self->io_);
  server.spawn(self->http_.run());
  background.spawn(await_signals(self));
  background.spawn(load(self));
  if (self->agent_server_) background.spawn(self->agent_server_->run());
  co_await self->stop_.wait();
  self->api_.set_draining();
  co_await let_balancers_see(self);
  co_await self->http_.drain(Clock::now() + self->config_.http.drain_timeout);
  background.stop();
  try {
    co_await background.join();
  } catch (const Error& error) {
    if (error.code() != Code::kCancelled) self->fatal_ = std::current_exception();
  }
  co_await server.join();
  if (self->caches_ != nullptr) co_await self->caches_->join();
  if (self->fatal_) std::rethrow_exception(self->fatal_);
}

namespace {

Task<void> join(Nursery* nursery) { co_await nursery->join(); }

}  // namespace

int Server::Impl::run() {
  life_cycle_.announce();
  Nursery root(io_);
  root.spawn(serve(this));
  std::thread io([this] {
    trace::set_thread_name("io");
    io_.run();
  });
  std::exception_ptr failed;
  try {
    sync_wait(join(&root));
  } catch (const Error&) {
    failed = std::current_exception();
  }
  io_.stop();
  io.join();
  life_cycle_.remember();
  if (failed) std::rethrow_exception(failed);
  log().info("stopped");
  return 0;
}

pipeline::Registry& ready_registry() {
  static std::once_flag once;
  std::call_once(once, [] {
    pipeline::add_builtin_pipelines(pipeline::registry());
    engine::register_fake_engine();
  });
  return pipeline::registry();
}

Server::Server(Config config) : impl_(std::make_unique<Impl>(std::move(config))) {}
Server::~Server() = default;
std::uint16_t Server::port() const noexcept { return impl_->port(); }
pipeline::Registry& Server::pipelines() noexcept { return ready_registry(); }
model::Repository& Server::repository() noexcept { return impl_->repository(); }
int Server::run() { return impl_->run(); }
void Server::stop() noexcept { impl_->stop(); }

}  // namespace baozi::serve
