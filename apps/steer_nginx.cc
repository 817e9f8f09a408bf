// `baozi steer nginx`: keeps the upstream file of an open-source nginx in step with the replicas.
#include <fmt/format.h>

#include <chrono>
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "apps/commands.h"
#include "baozi/base/error.h"
#include "baozi/base/log.h"
#include "baozi/keeper/command.h"
#include "baozi/keeper/nginx_keeper.h"

namespace baozi::apps {
namespace {

struct NginxFlags {
  std::vector<std::string> replicas;
  std::string output;
  std::string upstream = "baozi";
  std::string test = "nginx -t";
  std::string reload = "nginx -s reload";
  std::string log_level = "info";
  double interval = 1;
  double reload_every = 1;
  double names_every = 5;
  int looks = 2;
  bool once = false;
  bool dry_run = false;
  bool example = false;
};

Duration seconds(double count) {
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(count));
}

int print(const std::string& text) {
  if (std::fputs(text.c_str(), stdout) < 0 || std::fflush(stdout) != 0)
    throw Error(Code::kUnavailable, "the text cannot be written to standard output");
  return 0;
}

keeper::KeeperOptions keeper_options(const NginxFlags& flags) {
  keeper::KeeperOptions options;
  for (const std::string& text : flags.replicas)
    options.replicas.push_back(fleet::parse_replica(text));
  options.nginx.upstream = flags.upstream;
  options.nginx.looks = flags.looks;
  options.nginx.reload_every = seconds(flags.reload_every);
  options.output = flags.output;
  options.commands.test = keeper::split_command(flags.test);
  options.commands.reload = keeper::split_command(flags.reload);
  options.interval = seconds(flags.interval);
  options.names_every = seconds(flags.names_every);
  return options;
}

int steer_nginx(const NginxFlags& flags) {
  set_log_level(flags.log_level);
  if (flags.example)
    return print(fleet::nginx_example(
        flags.upstream, flags.output.empty() ? "/etc/nginx/baozi_upstream.conf" : flags.output));
  if (flags.output.empty() && !flags.dry_run)
    throw Error(Code::kInvalidArgument,
                "no upstream file is named; add --output FILE, or --dry-run to print it");
  keeper::NginxKeeper keeper(keeper_options(flags));
  if (flags.dry_run) return print(keeper.dry_run());
  if (flags.once)
    keeper.run_once();
  else
    keeper.run();
  return 0;
}

void add_times(CLI::App& command, NginxFlags& flags) {
  constexpr double kSecondsMin = 0.05;
  constexpr double kSecondsMax = 3600;
  constexpr int kLooksMax = 100;
  const CLI::Range time(kSecondsMin, kSecondsMax);
  command
      .add_option("--interval", flags.interval,
                  "Seconds between two looks at the replicas; one has half of it to answer")
      ->check(time)
      ->capture_default_str();
  command
      .add_option("--looks", flags.looks,
                  "So many looks in a row without an answer, and a replica is out; so many "
                  "answered, and it is in again")
      ->check(CLI::Range(1, kLooksMax))
      ->capture_default_str();
  command.add_option("--reload-every", flags.reload_every, "Seconds between two reloads, at least")
      ->check(time)
      ->capture_default_str();
  command
      .add_option("--names-every", flags.names_every,
                  "Seconds after which names are resolved again")
      ->check(time)
      ->capture_default_str();
}

}  // namespace

void add_steer_nginx(CLI::App& steer, Command& chosen) {
  auto flags = std::make_shared<NginxFlags>();
  CLI::App* command = steer.add_subcommand(
      "nginx", "Keep nginx's upstream file in step with the replicas until SIGTERM or Ctrl-C");
  command->add_option("--replica,--dns", flags->replicas,
                      "HOST:PORT of a replica; a DNS name stands for all its addresses; once for "
                      "each");
  command->add_option("-o,--output", flags->output, "The upstream file that nginx.conf includes");
  command->add_option("--upstream", flags->upstream, "The name that proxy_pass has")
      ->capture_default_str();
  command
      ->add_option("--test-command", flags->test,
                   "Ends with 0 when nginx can take the file; split at spaces, without a shell")
      ->capture_default_str();
  command->add_option("--reload-command", flags->reload, "Makes nginx take the file; likewise")
      ->capture_default_str();
  add_times(*command, *flags);
  command->add_flag("--once", flags->once, "One look, one change where one is due, and an end");
  command->add_flag("--dry-run", flags->dry_run, "One look; print the upstream, change nothing");
  command->add_flag("--example", flags->example, "Print an nginx.conf that includes the file");
  command->add_option("--log-level", flags->log_level, "trace, debug, info, warning, error or off")
      ->capture_default_str();
  command->footer(
      "A ready replica has weight 5, one that is starting 1; one that drains, failed or does not\n"
      "answer is down. The file is changed, and nginx reloaded, only when something changes; when\n"
      "`nginx -t` refuses it, the old file is put back.\n"
      "Examples:\n"
      "  baozi steer nginx --example --output /etc/nginx/baozi_upstream.conf > nginx.conf\n"
      "  baozi steer nginx --dns baozi.svc.local:8000 --output /etc/nginx/baozi_upstream.conf\n"
      "Exit status: 0 asked to end, or done; 1 an address or option is wrong, or with --once "
      "nginx\n"
      "did not take the file; 2 the command line is wrong.");
  command->callback([flags, &chosen] {
    if (flags->replicas.empty() && !flags->example) throw CLI::RequiredError("--replica");
    chosen = [flags] { return steer_nginx(*flags); };
  });
}

}  // namespace baozi::apps
