// `baozi steer`: what tells a load balancer of the replicas behind it.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "apps/commands.h"
#include "baozi/base/error.h"
#include "baozi/base/replace_file.h"
#include "baozi/fleet/haproxy_config.h"

namespace baozi::apps {
namespace {

struct HaproxyFlags {
  std::vector<std::string> replicas;
  std::string listen = "0.0.0.0:8000";
  std::string stats = "127.0.0.1:8404";
  int timeout = 30;
  std::string out;
};

fleet::ReplicaAddress parse_bind(const std::string& text) {
  fleet::ReplicaAddress address = fleet::parse_replica(text);
  if (address.agent != 0)
    throw Error(Code::kInvalidArgument,
                fmt::format("'{}': an address to listen on has no agent; give HOST:PORT", text));
  return address;
}

int steer_haproxy(const HaproxyFlags& flags) {
  fleet::HaproxyOptions options;
  for (const std::string& text : flags.replicas)
    options.replicas.push_back(fleet::parse_replica(text));
  options.listen = parse_bind(flags.listen);
  options.stats = parse_bind(flags.stats);
  options.answer_timeout_seconds = flags.timeout;
  const std::string text = fleet::haproxy_config(options);
  if (!flags.out.empty()) {
    constexpr mode_t kReadable = 0644;  // it holds no secret, and HAProxy may be another user
    replace_file(flags.out, {text}, {.mode = kReadable});
  } else if (std::fputs(text.c_str(), stdout) < 0 || std::fflush(stdout) != 0) {
    throw Error(Code::kUnavailable, "the configuration cannot be written to standard output");
  }
  return 0;
}

}  // namespace

void add_steer(CLI::App& app, Command& chosen) {
  constexpr int kTimeoutMax = 3600;
  auto flags = std::make_shared<HaproxyFlags>();
  CLI::App* steer = app.add_subcommand("steer", "Tell a load balancer of the replicas behind it");
  steer->require_subcommand(1);
  CLI::App* command = steer->add_subcommand("haproxy", "Print a whole haproxy.cfg");
  command
      ->add_option("--replica", flags->replicas,
                   "HOST:PORT[,agent=PORT] of a replica; once for each")
      ->required();
  command->add_option("--listen", flags->listen, "Where HAProxy takes requests")
      ->capture_default_str();
  command->add_option("--stats", flags->stats, "Where HAProxy shows its statistics")
      ->capture_default_str();
  command
      ->add_option("--timeout", flags->timeout,
                   "Seconds after which a silent replica is taken to hang, 1 to 3600")
      ->check(CLI::Range(1, kTimeoutMax))
      ->capture_default_str();
  command->add_option("-o,--output", flags->out, "Write this file, whole, instead of printing");
  command->footer(
      "Example:\n"
      "  baozi steer haproxy --replica 10.0.0.7:8000,agent=8100 "
      "--replica 10.0.0.8:8000,agent=8100 -o haproxy.cfg && haproxy -c -f haproxy.cfg\n"
      "Exit status: 0 written; 1 an address is wrong or the file cannot be written; "
      "2 the command line is wrong.");
  command->callback([flags, &chosen] { chosen = [flags] { return steer_haproxy(*flags); }; });
  add_steer_nginx(*steer, chosen);
}

}  // namespace baozi::apps
