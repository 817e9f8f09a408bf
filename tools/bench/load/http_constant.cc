// The HTTP server with a handler that answers a constant: what the server itself costs.
//
//   http_constant PORT
//
// /: answered on the I/O thread; /lane: after a hop to a lane and back; /wait: held until the
// client goes.
#include <sys/resource.h>

#include <cstdlib>
#include <string>

#include "baozi/coro/asio/asio_executor.h"
#include "baozi/coro/event.h"
#include "baozi/coro/lane.h"
#include "baozi/coro/sync_wait.h"
#include "baozi/coro/this_task.h"
#include "baozi/net/http_server.h"

namespace {

using namespace baozi;

class Constant final : public net::HttpHandler {
 public:
  Task<net::HttpResponse> handle(net::HttpRequest request) override {
    if (request.path() == "/wait") return wait(&never_);
    if (request.path() == "/lane") return hop(&lane_);
    return answer();
  }

 private:
  static Task<net::HttpResponse> answer() {
    net::HttpResponse response;
    response.body = R"({"outputs":[1]})";
    co_return response;
  }
  static Task<net::HttpResponse> hop(Lane* lane) {
    co_await switch_to(*lane);
    net::HttpResponse response;
    response.body = R"({"outputs":[1]})";
    co_return response;
  }
  static Task<net::HttpResponse> wait(Event* never) {
    co_await never->wait();
    co_return net::HttpResponse{};
  }

  Event never_;
  Lane lane_{"lane"};
};

}  // namespace

int main(int argc, char** argv) {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);

  net::HttpServerOptions options;
  options.port = static_cast<std::uint16_t>(argc > 1 ? std::atoi(argv[1]) : 0);
  Constant handler;
  AsioThread io;
  net::HttpServer server(io, options, handler);
  std::printf("listening on %u\n", server.port());
  std::fflush(stdout);
  sync_wait(server.run().on(io));
}
