// Where a graph can be cut into parts that run one after the other: places in the order of its
// nodes at which few values are handed on. Pure functions over names and sizes.
//
//   const std::vector<CutPlace> places = find_places(steps);
//   const std::vector<std::size_t> cuts = choose_cuts(places, 4);   // 3: parts of like weight
//
// Thread safety: free functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace baozi::engine {

// A node.
struct GraphStep {
  std::vector<std::string> uses;   // names of values
  std::vector<std::string> makes;  // each made by one step only
  std::uint64_t bytes = 0;         // of the weights that it is the first to use
};

// More values than these are not handed from one part to the next: where a layer ends one or two
// are, within a layer there are several.
inline constexpr std::size_t kCrossingMax = 4;

struct CutPlace {
  std::size_t before = 0;    // the step that is the first behind it; never 0
  std::size_t crossing = 0;  // values that are made before it and used behind it
  std::uint64_t bytes = 0;   // of weights before it
  std::uint64_t total = 0;   // of all weights
};

// Ascending. Throws Error kInvalidArgument when a step uses what a later one makes.
std::vector<CutPlace> find_places(std::span<const GraphStep> steps);

// Where to cut for so many parts: for each, in order, the place nearest to its share of the
// weights, where fewer values crossing make up for a small distance. Precondition: 1 <= parts <=
// places.size() + 1.
std::vector<std::size_t> choose_cuts(std::span<const CutPlace> places, std::size_t parts);

}  // namespace baozi::engine
