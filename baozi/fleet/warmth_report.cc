#include "baozi/fleet/warmth_report.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <array>
#include <cstdint>
#include <limits>

#include "baozi/base/error.h"

namespace baozi::fleet {
namespace {

namespace dom = simdjson::dom;

constexpr std::array kStates{ReplicaState::kStarting, ReplicaState::kReady, ReplicaState::kDegraded,
                             ReplicaState::kFailed, ReplicaState::kDraining};
constexpr double kSecondsMax = 1e9;
constexpr double kUtilisationMax = 1e6;
constexpr std::size_t kDepthMax = 16;

[[noreturn]] void refuse(std::string_view why) {
  throw Error(
      Code::kInvalidArgument,
      fmt::format("this is no record of warmth: {}. Is there a baozi behind the address?", why));
}

ReplicaState read_state(const dom::object& record) {
  std::string_view name;
  if (record["state"].get_string().get(name)) refuse("'state' is no string");
  for (const ReplicaState state : kStates)
    if (replica_state_name(state) == name) return state;
  refuse("its state is not known");
}

double read_number(const dom::object& record, std::string_view name, double max) {
  double number = 0;
  if (record[name].get_double().get(number) || !(number >= 0 && number <= max))
    refuse(fmt::format("'{}' is no number from 0 to {}", name, max));
  return number;
}

int read_count(const dom::object& record, std::string_view name) {
  constexpr int kMax = std::numeric_limits<int>::max();
  std::uint64_t number = 0;
  if (record[name].get_uint64().get(number) || number > static_cast<std::uint64_t>(kMax))
    refuse(fmt::format("'{}' is no whole number from 0 to {}", name, kMax));
  return static_cast<int>(number);
}

}  // namespace

Warmth parse_warmth(std::string_view text) {
  if (text.size() > kWarmthBytesMax)
    refuse(fmt::format("it is longer than {} bytes", kWarmthBytesMax));
  dom::parser parser(kWarmthBytesMax);
  if (parser.allocate(kWarmthBytesMax, kDepthMax)) refuse("there is no memory to read it");
  dom::object record;
  const simdjson::padded_string padded(text);
  if (parser.parse(padded).get_object().get(record)) refuse("it is no JSON object");
  Warmth warmth;
  warmth.state = read_state(record);
  warmth.warmth = read_number(record, "warmth", 1);
  dom::element seconds;
  if (record["seconds_left"].get(seconds)) refuse("it has no 'seconds_left'");
  if (!seconds.is_null()) warmth.seconds_left = read_number(record, "seconds_left", kSecondsMax);
  warmth.queue = read_count(record, "queue");
  warmth.in_flight = read_count(record, "in_flight");
  warmth.utilisation = read_number(record, "utilisation", kUtilisationMax);
  return warmth;
}

}  // namespace baozi::fleet
