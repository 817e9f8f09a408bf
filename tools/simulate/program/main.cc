// fleet_simulation: a fleet under a virtual clock; policies side by side.
//
//   fleet_simulation --scenario step
//   fleet_simulation --traffic monday.csv --policy steered-cpu-queue --queue-target 30
//                    --out monday.json
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

#include "tools/simulate/simulation.h"

namespace {

using namespace baozi::simulate;

struct Policy {
  std::string name;
  Balancing balancing;
  bool queue;  // the autoscaler looks at queues, too
};

const std::vector<Policy>& policies() {
  static const std::vector<Policy> all{{"blind-cpu", Balancing::kBlind, false},
                                       {"ready-cpu", Balancing::kReady, false},
                                       {"steered-cpu", Balancing::kSteered, false},
                                       {"steered-cpu-queue", Balancing::kSteered, true}};
  return all;
}

struct Wanted {
  SimulationOptions options{.queue_target = 100};
  std::string scenario = "step";
  std::string traffic;
  std::string policy = "all";
  std::string out;
  double base = 26'000;
};

void add_options(CLI::App& app, Wanted& wanted) {
  SimulationOptions& options = wanted.options;
  ReplicaOptions& replica = options.replica;
  app.add_option("--scenario", wanted.scenario, "synthetic traffic")
      ->check(CLI::IsMember({"step", "wave", "crowd"}))
      ->capture_default_str();
  app.add_option("--base", wanted.base, "its requests a second in quiet times")
      ->check(CLI::Range(1e-3, 1e7))
      ->capture_default_str();
  app.add_option("--traffic", wanted.traffic, "CSV of seconds,requests_per_second instead");
  app.add_option("--policy", wanted.policy, "one of them, or all")
      ->check(CLI::IsMember({"all", "blind-cpu", "ready-cpu", "steered-cpu", "steered-cpu-queue"}))
      ->capture_default_str();
  app.add_option("--out", wanted.out, "writes settings, figures and windows as JSON");
  app.add_option("--seed", options.seed, "of the arrivals")->capture_default_str();
  app.add_option_function<double>(
      "--step-ms", [&options](double ms) { options.step_seconds = ms / 1000; },
      "of the virtual clock; 100 unless given");
  app.add_option_function<double>(
      "--target-ms", [&options](double ms) { options.target_seconds = ms / 1000; },
      "of a request's latency; 200 unless given");
  app.add_option("--cpu-target", options.cpu_target, "percent")->capture_default_str();
  app.add_option("--queue-target", options.queue_target, "waiting requests a replica")
      ->check(CLI::Range(1e-3, 1e9))
      ->capture_default_str();
  app.add_option("--replicas-start", options.replicas_start, "0: what the CPU target asks for")
      ->check(CLI::Range(0, 1'000'000));
  app.add_option("--replicas-min", options.scaling.replicas_min)->capture_default_str();
  app.add_option("--replicas-max", options.scaling.replicas_max)->capture_default_str();
  app.add_option("--servers", replica.servers, "requests that a replica runs at once")
      ->capture_default_str();
  app.add_option_function<double>(
      "--service-ms", [&replica](double ms) { replica.service_seconds = ms / 1000; },
      "of a request, hot; 20 unless given");
  app.add_option("--queue-max", replica.queue_max)->capture_default_str();
  app.add_option("--port-seconds", replica.port_seconds, "scheduling, image, exec")
      ->capture_default_str();
  app.add_option("--load-seconds", replica.load_seconds)->capture_default_str();
  app.add_option("--warm-seconds", replica.warm_seconds)->capture_default_str();
  app.add_option("--lukewarm-factor", replica.lukewarm_factor)->capture_default_str();
  app.add_option("--warm-cpu", replica.warm_cpu, "share of its cores")->capture_default_str();
}

Traffic traffic_of(const Wanted& wanted) {
  if (!wanted.traffic.empty()) {
    std::ifstream file(wanted.traffic, std::ios::binary);
    if (!file) throw std::runtime_error(wanted.traffic + ": cannot be read");
    const std::string text((std::istreambuf_iterator<char>(file)), {});
    return parse_traffic(text, wanted.traffic);
  }
  if (wanted.scenario == "wave") return wave_traffic(wanted.base);
  return wanted.scenario == "crowd" ? crowd_traffic(wanted.base) : step_traffic(wanted.base);
}

void print_row(const Policy& policy, const Result& result) {
  fmt::print("{:<18} {:>9.0f} {:>8.3f} {:>9.3f} {:>9.1f} {:>7} {:>9.0f}\n", policy.name,
             result.seconds_above, 100 * result.late_share, 100 * result.refused_share,
             result.replica_hours, result.replicas_most, 1000 * result.p99_seconds);
}

std::string json(const Policy& policy, const Result& result) {
  std::string text = fmt::format(
      R"({{"policy":"{}","requests":{:.0f},"answered":{:.3f},"refused":{:.3f},"waiting":{:.3f},)"
      R"("seconds_above":{:.1f},"late_share":{:.6f},"refused_share":{:.6f},"p99_ms":{:.1f},)"
      R"("replica_hours":{:.3f},"replicas_most":{},"windows":[)",
      policy.name, result.requests, result.answered, result.refused, result.waiting,
      result.seconds_above, result.late_share, result.refused_share, 1000 * result.p99_seconds,
      result.replica_hours, result.replicas_most);
  const char* comma = "";
  for (const Window& window : result.windows) {
    text += fmt::format("{}\n[{:.1f},{:.1f},{},{},{:.1f},{:.6f}]", comma, window.seconds,
                        window.offered, window.replicas, window.hot, 1000 * window.p99_seconds,
                        window.late_share);
    comma = ",";
  }
  return text + "]}";
}

void write(const Wanted& wanted, const std::string& results) {
  const SimulationOptions& options = wanted.options;
  const ReplicaOptions& replica = options.replica;
  std::ofstream file(wanted.out, std::ios::binary);
  file << fmt::format(
      R"({{"seed":{},"step_ms":{},"target_ms":{},"cpu_target":{},"queue_target":{},)"
      R"("servers":{},"service_ms":{},"queue_max":{},"port_seconds":{},"load_seconds":{},)"
      R"("warm_seconds":{},"lukewarm_factor":{},"warm_cpu":{},"replicas_max":{},)"
      R"("window_columns":["seconds","offered","replicas","hot","p99_ms","late_share"],)"
      "\n\"results\":[{}]}}\n",
      options.seed, 1000 * options.step_seconds, 1000 * options.target_seconds, options.cpu_target,
      options.queue_target, replica.servers, 1000 * replica.service_seconds, replica.queue_max,
      replica.port_seconds, replica.load_seconds, replica.warm_seconds, replica.lukewarm_factor,
      replica.warm_cpu, options.scaling.replicas_max, results);
  file.close();
  if (!file) throw std::runtime_error(wanted.out + ": cannot be written");
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Simulates a fleet: a balancer and Kubernetes' autoscaler under a virtual clock");
  Wanted wanted;
  add_options(app, wanted);
  CLI11_PARSE(app, argc, argv);
  try {
    const Traffic traffic = traffic_of(wanted);
    fmt::print("{:<18} {:>9} {:>8} {:>9} {:>9} {:>7} {:>9}\n", "policy", "s above", "late %",
               "refused %", "replica-h", "peak", "p99 ms");
    std::string results;
    for (const Policy& policy : policies()) {
      if (wanted.policy != "all" && wanted.policy != policy.name) continue;
      SimulationOptions options = wanted.options;
      options.balancing = policy.balancing;
      if (!policy.queue) options.queue_target = 0;
      const Result result = simulate(options, traffic);
      print_row(policy, result);
      results += (results.empty() ? "\n" : ",\n") + json(policy, result);
    }
    if (!wanted.out.empty()) write(wanted, results);
  } catch (const std::exception& error) {
    std::fflush(stdout);
    fmt::print(stderr, "fleet_simulation: {}\n", error.what());
    return 1;
  }
  return 0;
}
