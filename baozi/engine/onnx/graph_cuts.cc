#include "baozi/engine/onnx/graph_cuts.h"

#include <fmt/format.h>

#include <cassert>
#include <string_view>
#include <unordered_map>

#include "baozi/base/error.h"

namespace baozi::engine {
namespace {

struct Life {
  std::size_t made = 0;
  std::size_t last_use = 0;
};

std::unordered_map<std::string_view, Life> lives_of(std::span<const GraphStep> steps) {
  std::unordered_map<std::string_view, Life> lives;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    for (const std::string& name : steps[i].makes) lives.emplace(name, Life{i, i});
  }
  for (std::size_t i = 0; i < steps.size(); ++i) {
    for (const std::string& name : steps[i].uses) {
      const auto at = lives.find(name);
      if (at == lives.end()) continue;  // a weight, or an input of the model
      if (at->second.made > i) {
        throw Error(
            Code::kInvalidArgument,
            fmt::format("its nodes are not in order: '{}' is used before it is made", name));
      }
      at->second.last_use = i;
    }
  }
  return lives;
}

// What a place costs, in bytes: how far it is from where the weights would be shared equally; each
// value more that crosses is worth a hundredth of a part.
double cost(const CutPlace& place, std::size_t part, std::size_t parts) {
  const double share = static_cast<double>(place.total) / static_cast<double>(parts);
  const double distance = static_cast<double>(place.bytes) - share * static_cast<double>(part);
  return (distance < 0 ? -distance : distance) +
         static_cast<double>(place.crossing) * (share / 100 + 1);
}

}  // namespace

std::vector<CutPlace> find_places(std::span<const GraphStep> steps) {
  // How many values begin and cease to cross at each place.
  std::vector<std::size_t> begins(steps.size() + 1);
  std::vector<std::size_t> ends(steps.size() + 1);
  for (const auto& [name, life] : lives_of(steps)) {
    if (life.last_use == life.made) continue;
    ++begins[life.made + 1];
    ++ends[life.last_use + 1];
  }
  std::uint64_t total = 0;
  for (const GraphStep& step : steps) total += step.bytes;
  std::vector<CutPlace> places;
  std::size_t crossing = 0;
  std::uint64_t bytes = 0;
  for (std::size_t i = 1; i < steps.size(); ++i) {
    crossing += begins[i];
    crossing -= ends[i];
    bytes += steps[i - 1].bytes;
    if (crossing <= kCrossingMax) places.push_back({i, crossing, bytes, total});
  }
  return places;
}

std::vector<std::size_t> choose_cuts(std::span<const CutPlace> places, std::size_t parts) {
  assert(parts >= 1 && parts <= places.size() + 1);
  std::vector<std::size_t> cuts;
  std::size_t from = 0;
  for (std::size_t part = 1; part < parts; ++part) {
    const std::size_t behind =
        places.size() - (parts - 1 - part);  // leaves one for each that follows
    std::size_t best = from;
    for (std::size_t i = from; i < behind; ++i) {
      if (cost(places[i], part, parts) < cost(places[best], part, parts)) best = i;
    }
    cuts.push_back(places[best].before);
    from = best + 1;
  }
  return cuts;
}

}  // namespace baozi::engine
