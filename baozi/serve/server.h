// Server: all the parts put together, as `baozi serve` runs them and as a program of yours can.
//
//   serve::Server server(serve::load_config("baozi.yaml"));
//   server.pipelines().add("mine", &make_mine);   // before run()
//   return server.run();                        // until SIGTERM, SIGINT or stop()
//
// Thread safety: construct and run on one thread; stop(), port() and repository() from any.
#pragma once

#include <cstdint>
#include <memory>

#include "baozi/serve/config.h"

namespace baozi::model {
class Repository;
}
namespace baozi::pipeline {
class Registry;
}

namespace baozi::serve {

class Server {
 public:
  // Binds and listens before anything is loaded: from here on clients can connect. Errors:
  // kUnavailable when the address is taken.
  explicit Server(Config config);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  std::uint16_t port() const noexcept;
  pipeline::Registry& pipelines() noexcept;
  model::Repository& repository() noexcept;

  // Serves until SIGTERM, SIGINT or stop(), then drains. Models are loaded meanwhile; one that
  // fails is logged and shown by the repository's index, the others are served. Returns the
  // process's exit status: 0 after a drain.
  int run();

  // As SIGTERM. May be called before run().
  void stop() noexcept;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// The process's pipelines and engines, the built-in ones among them.
pipeline::Registry& ready_registry();

}  // namespace baozi::serve
