// The two loads: `closed` keeps N connections asking one after the other, `held` lets N requests
// wait and looks at what they cost and whether others are still served. Both return their figures
// as JSON text.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "tools/bench/load/client_connection.h"

namespace baozi::load {

struct Options {
  Target target;
  std::string method = "GET";
  std::vector<std::string> headers;  // "Name: value"
  std::string body;
  std::size_t connections = 16;
  std::chrono::duration<double> duration{10};
  std::chrono::duration<double> warm_up{1};
  int server_pid = 0;                           // 0: nothing is known about the server's process
  std::string health_path = "/v2/health/live";  // held only
};

// The whole request as it goes on the wire.
std::string request_text(const Options& options, const std::string& method, const std::string& path,
                         const std::string& body);

std::string run_closed(const Options& options);
std::string run_held(const Options& options);

// In seconds; sorts `seconds`. Keys median, p90, p99, max (all 0 without values), each in
// microseconds.
std::string latency_json(std::vector<float>& seconds);

}  // namespace baozi::load
