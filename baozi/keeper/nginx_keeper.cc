#include "baozi/keeper/nginx_keeper.h"

#include <fmt/format.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <map>
#include <optional>
#include <utility>

#include "baozi/base/error.h"
#include "baozi/base/log.h"
#include "baozi/coro/asio/asio_await.h"
#include "baozi/coro/asio/asio_executor.h"
#include "baozi/coro/lane.h"
#include "baozi/coro/nursery.h"
#include "baozi/coro/sleep.h"
#include "baozi/coro/sync_wait.h"
#include "baozi/coro/this_task.h"
#include "baozi/coro/when_all.h"
#include "baozi/coro/with_deadline.h"
#include "baozi/fleet/resolved_replicas.h"
#include "baozi/fleet/warmth_report.h"
#include "baozi/net/http_client.h"

namespace baozi::keeper {
namespace {

using boost::asio::ip::tcp;
using boost::system::error_code;

constexpr std::size_t kAnswerBytesMax = 16 << 10;
constexpr int kStatusOk = 200;

// Nothing for whatever is no answer with a record in it; a stop from outside passes.
Task<std::optional<fleet::Warmth>> look_at(net::HttpClient* client, Duration limit) {
  const Context& context = co_await this_context();
  std::optional<fleet::Warmth> warmth;
  try {
    net::HttpReply reply = co_await with_timeout(client->get("/v2/warmth"), limit);
    if (reply.status == kStatusOk) warmth = fleet::parse_warmth(reply.body);
  } catch (const Error& error) {
    log().debug("a look: {}", error.message());
  }
  throw_if_stopped(context.stop);
  co_return warmth;
}

}  // namespace

class NginxKeeper::Impl {
 public:
  explicit Impl(KeeperOptions options)
      : options_(std::move(options)),
        replicas_(options_.replicas),
        steering_(options_.nginx, std::nullopt),
        file_(options_.output, options_.commands),
        signals_(io_.context()) {}

  void run() {
    std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGXFSZ, SIG_IGN);  // a file that gets too large is an error as any other
    signals_.add(SIGTERM);
    signals_.add(SIGINT);
    try {
      sync_wait(keep_until_signal(this).on(io_));
    } catch (const Error& error) {
      if (error.code() != Code::kCancelled) throw;
    }
    log().info("stopped; nginx goes on with what it has");
  }

  void run_once() {
    sync_wait(look_once(this).on(io_));
    const std::string text = known_text();
    if (file_.in_force() == text) return;
    const UpstreamFile::Change change = file_change(text);
    if (change.result != UpstreamFile::Result::kDone)
      throw Error(Code::kFailedPrecondition, complaint(change));
  }

  std::string dry_run() {
    sync_wait(look_once(this).on(io_));
    return known_text();
  }

 private:
  using Clients = std::map<std::string, std::unique_ptr<net::HttpClient>>;

  static Task<void> await_signal(Impl* self, Nursery* nursery);
  static Task<void> keep_until_signal(Impl* self);
  static Task<void> begin(Impl* self, Nursery* nursery);
  static Task<void> keep(Impl* self);
  static Task<void> resolve(Impl* self, std::size_t index);
  static Task<void> resolve_all(Impl* self);
  static Task<void> keep_resolving(Impl* self, std::size_t index);
  static Task<void> look(Impl* self);
  static Task<void> look_once(Impl* self);
  static Task<void> apply(Impl* self, std::string text);

  void warn_of_last_resort() const;
  std::string known_text() const;
  UpstreamFile::Change file_change(const std::string& text);
  std::string complaint(const UpstreamFile::Change& change) const;

  const KeeperOptions options_;
  AsioThread io_{"io"};
  Lane files_{"files"};  // files and commands block
  // On io_:
  fleet::ResolvedReplicas replicas_;
  fleet::NginxUpstream steering_;
  UpstreamFile file_;  // on files_
  Clients clients_;    // by endpoint
  boost::asio::signal_set signals_;
};

Task<void> NginxKeeper::Impl::await_signal(Impl* self, Nursery* nursery) {
  co_await self->signals_.async_wait(use_task);
  nursery->stop();
}

Task<void> NginxKeeper::Impl::keep_until_signal(Impl* self) {
  const Context& context = co_await this_context();
  Nursery nursery(context, self->io_);
  nursery.spawn(await_signal(self, &nursery));
  nursery.spawn(begin(self, &nursery));
  co_await nursery.join();
}

Task<void> NginxKeeper::Impl::begin(Impl* self, Nursery* nursery) {
  co_await switch_to(self->files_);
  const std::optional<std::string> in_force = self->file_.in_force();
  co_await switch_to(self->io_);
  self->steering_ = fleet::NginxUpstream(self->options_.nginx, in_force);
  co_await resolve_all(self);
  for (const std::size_t index : self->replicas_.names())
    nursery->spawn(keep_resolving(self, index));
  co_await keep(self);
}

Task<void> NginxKeeper::Impl::keep(Impl* self) {
  for (;;) {
    const Time began = Clock::now();
    co_await look(self);
    const std::optional<std::string> text = self->steering_.decide(Clock::now());
    if (text) {
      co_await apply(self, *text);
    } else if (self->steering_.in_force()) {
      co_await switch_to(self->files_);
      const bool as_it_was = self->file_.holds(*self->steering_.in_force());
      co_await switch_to(self->io_);
      if (!as_it_was) {
        log().warn("{} was changed by another; it will be written anew", self->options_.output);
        self->steering_.forget();
      }
    }
    co_await sleep_until(began + self->options_.interval);
  }
}

// A stop does not come between the steps of a change: nothing here asks for one.
Task<void> NginxKeeper::Impl::apply(Impl* self, std::string text) {
  co_await switch_to(self->files_);
  const UpstreamFile::Change change = self->file_change(text);
  co_await switch_to(self->io_);
  switch (change.result) {
    case UpstreamFile::Result::kDone:
      self->steering_.applied(std::move(text), Clock::now());
      log().info("nginx has been reloaded: {}", self->steering_.summary());
      self->warn_of_last_resort();
      co_return;
    case UpstreamFile::Result::kNotReloaded:
      self->steering_.forget();
      break;
    case UpstreamFile::Result::kRefused:
      break;
  }
  self->steering_.refused(Clock::now());
  log().error("{}", self->complaint(change));
}

UpstreamFile::Change NginxKeeper::Impl::file_change(const std::string& text) {
  try {
    return file_.change(text);
  } catch (const Error& error) {
    return {UpstreamFile::Result::kNotReloaded, error.message()};
  }
}

std::string NginxKeeper::Impl::complaint(const UpstreamFile::Change& change) const {
  if (change.result == UpstreamFile::Result::kRefused)
    return fmt::format(
        "nginx refuses its configuration with the new {0}, so the old one is in its "
        "place again; see to what it says:\n{1}",
        options_.output, change.why);
  return fmt::format("nginx was not reloaded with the new {}: {}", options_.output, change.why);
}

Task<void> NginxKeeper::Impl::resolve(Impl* self, std::size_t index) {
  const fleet::ReplicaAddress& named = self->replicas_.named()[index];
  tcp::resolver resolver(self->io_.context());
  const auto [error, found] =
      co_await resolver.async_resolve(named.host, std::to_string(named.port), use_task_ec);
  std::vector<std::string> addresses;
  for (const auto& entry : found) addresses.push_back(entry.endpoint().address().to_string());
  if (error || addresses.empty())
    log().warn("{} is not resolved ({}); it stands for whom it stood for", named.host,
               error ? error.message() : "it has no address");
  self->replicas_.resolved(index, addresses);
}

Task<void> NginxKeeper::Impl::resolve_all(Impl* self) {
  std::vector<Task<void>> tasks;
  for (const std::size_t index : self->replicas_.names()) tasks.push_back(resolve(self, index));
  co_await when_all(std::move(tasks));
}

Task<void> NginxKeeper::Impl::keep_resolving(Impl* self, std::size_t index) {
  for (;;) {
    co_await sleep_for(self->options_.names_every);
    co_await resolve(self, index);
  }
}

Task<void> NginxKeeper::Impl::look(Impl* self) {
  const std::vector<fleet::ReplicaAddress> all = self->replicas_.all();
  Clients clients;
  std::vector<Task<std::optional<fleet::Warmth>>> tasks;
  for (const fleet::ReplicaAddress& replica : all) {
    std::unique_ptr<net::HttpClient>& client = clients[fleet::endpoint(replica)];
    client = std::move(self->clients_[fleet::endpoint(replica)]);
    if (client == nullptr)
      client =
          std::make_unique<net::HttpClient>(self->io_, replica.host, replica.port, kAnswerBytesMax);
    tasks.push_back(look_at(client.get(), self->options_.interval / 2));
  }
  self->clients_ = std::move(clients);
  const std::vector<std::optional<fleet::Warmth>> found = co_await when_all(std::move(tasks));
  std::vector<fleet::Look> looks;
  for (std::size_t i = 0; i < all.size(); ++i) looks.push_back({all[i], found[i]});
  self->steering_.see(looks);
}

Task<void> NginxKeeper::Impl::look_once(Impl* self) {
  co_await resolve_all(self);
  co_await look(self);
}

void NginxKeeper::Impl::warn_of_last_resort() const {
  if (steering_.last_resort())
    log().warn("no replica is known to be well: those that cannot be reached are left in");
}

std::string NginxKeeper::Impl::known_text() const {
  std::string text = steering_.render();
  if (text.empty())
    throw Error(Code::kUnavailable, "no name of a replica could be resolved; see --replica");
  warn_of_last_resort();
  return text;
}

NginxKeeper::NginxKeeper(KeeperOptions options)
    : impl_(std::make_unique<Impl>(std::move(options))) {}
NginxKeeper::~NginxKeeper() = default;
void NginxKeeper::run() { impl_->run(); }
void NginxKeeper::run_once() { impl_->run_once(); }
std::string NginxKeeper::dry_run() { return impl_->dry_run(); }

}  // namespace baozi::keeper
