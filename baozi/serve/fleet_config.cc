#include "baozi/serve/fleet_config.h"

#include "baozi/serve/yaml_reader.h"

namespace baozi::serve {
namespace {

constexpr std::int64_t kDayMs = 86'400'000;

FleetConfig::Agent read_agent(YamlReader reader) {
  FleetConfig::Agent agent;
  agent.host = reader.text("host", agent.host);
  agent.port = static_cast<std::uint16_t>(reader.integer("port", agent.port, 0, 65'535));
  reader.finish();
  return agent;
}

}  // namespace

FleetConfig read_fleet(YamlReader reader) {
  FleetConfig fleet;
  if (reader.has("agent")) fleet.agent = read_agent(reader.child("agent"));
  fleet.connections_max =
      static_cast<int>(reader.integer("connections_max", fleet.connections_max, 0, 1'000'000));
  fleet.drain_delay = std::chrono::milliseconds(
      reader.integer("drain_delay_ms", fleet.drain_delay.count(), 0, kDayMs));
  fleet.report_always =
      reader.choice("load_reports", "on_request", {"on_request", "always"}) == "always";
  reader.finish();
  return fleet;
}

}  // namespace baozi::serve
