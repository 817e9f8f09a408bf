#include "baozi/fleet/haproxy_config.h"

#include <fmt/format.h>

#include <set>

#include "baozi/base/error.h"

namespace baozi::fleet {

std::string haproxy_config(const HaproxyOptions& options) {
  if (options.replicas.empty())
    throw Error(Code::kInvalidArgument, "no replica is named; add --replica HOST:PORT");
  std::string servers;
  std::set<std::string> seen;
  for (const ReplicaAddress& replica : options.replicas) {
    const std::string at = endpoint(replica);
    if (!seen.insert(at).second)
      throw Error(Code::kInvalidArgument,
                  fmt::format("replica {} is named twice; remove one --replica", at));
    servers += fmt::format(
        "    server replica{} {} check inter 1s fall 2 rise 1 observe layer7 "
        "error-limit 1 on-error mark-down",
        seen.size(), at);
    if (replica.agent != 0)
      servers += fmt::format(" weight 100 agent-check agent-port {} agent-inter 1s", replica.agent);
    servers += '\n';
  }
  return fmt::format(
      R"(# Written by `baozi steer haproxy`. Check it with: haproxy -c -f FILE
defaults
    mode http
    timeout connect 1s
    timeout client 60s
    # A replica that says nothing for so long is taken to hang: the request goes to another.
    # Keep it above the slowest answer.
    timeout server {timeout}s
    timeout queue 10s
    timeout check 1s
    # A request that found its replica dead, silent or unready is sent to another. Inference
    # changes nothing in a replica, so POST is repeated too, once it was read whole; what is longer
    # than tune.bufsize cannot be kept for that and is not.
    option http-buffer-request
    retries 5
    option redispatch 1
    retry-on conn-failure empty-response response-timeout 503

frontend inference
    bind {listen}
    default_backend replicas

backend replicas
    balance leastconn
    option httpchk
    http-check send meth GET uri /v2/health/ready
    http-check expect status 200
    # One answer that does not come, and a replica is out until a check finds it well again: who
    # died has the fewest requests, and would be chosen again and again.
    # The agent says the weight, in percent of the one below. No slowstart: warmth is told, not
    # guessed from time.
{servers}
frontend stats
    bind {stats}
    stats enable
    stats uri /
    http-request use-service prometheus-exporter if {{ path /metrics }}
)",
      fmt::arg("timeout", options.answer_timeout_seconds),
      fmt::arg("listen", endpoint(options.listen)), fmt::arg("stats", endpoint(options.stats)),
      fmt::arg("servers", servers));
}

}  // namespace baozi::fleet
