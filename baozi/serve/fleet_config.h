// The config file's part about balancers: `fleet`.
//
//   fleet: {agent: {host: 127.0.0.1, port: 8100}, connections_max: 100, drain_delay_ms: 5000}
//
// Thread safety: values and free functions.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace baozi::serve {

class YamlReader;

struct FleetConfig {
  struct Agent {
    std::string host = "127.0.0.1";
    std::uint16_t port = 8100;  // 0: any free one, printed at start
  };
  std::optional<Agent> agent;  // where HAProxy's agent-check is answered; none: nowhere
  int connections_max = 0;     // `maxconn` of this server in HAProxy's configuration; 0: not known
  // After SIGTERM: how long requests are still taken, so that balancers see it first.
  std::chrono::milliseconds drain_delay{0};
  bool report_always = false;  // load reports also to who has not wished for one
};

// The mapping under "fleet". Errors: as YamlReader's.
FleetConfig read_fleet(YamlReader reader);

}  // namespace baozi::serve
