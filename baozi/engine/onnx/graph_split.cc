#include "baozi/engine/onnx/graph_split.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "baozi/engine/onnx/graph_cuts.h"
#include "baozi/engine/onnx_file/wire_writer.h"

namespace baozi::engine {
namespace {

using wire_writer::message;
using wire_writer::number;
using Names = std::unordered_set<std::string_view>;

// Field numbers of onnx.proto.
constexpr std::uint32_t kModelGraph = 7;
constexpr std::uint32_t kGraphNode = 1;
constexpr std::uint32_t kGraphInitializer = 5;
constexpr std::uint32_t kGraphInput = 11;
constexpr std::uint32_t kGraphOutput = 12;

[[noreturn]] void refuse(std::string why) { throw NotSplit(std::move(why)); }

std::vector<GraphStep> steps_of(const GraphFile& graph) {
  std::unordered_map<std::string_view, std::uint64_t> weights;
  for (const GraphFile::Weight& weight : graph.weights)
    weights.emplace(weight.name, weight.bytes());
  std::vector<GraphStep> steps;
  for (const GraphFile::Node& node : graph.nodes) {
    GraphStep step{node.uses, node.makes, node.message.end - node.message.begin};
    for (const std::string& name : node.uses) {
      const auto at = weights.find(name);
      if (at == weights.end()) continue;
      step.bytes += at->second;
      weights.erase(at);
    }
    for (const ByteRange& range : node.ranges) step.bytes += range.length;
    steps.push_back(std::move(step));
  }
  return steps;
}

std::vector<std::size_t> cuts_of(const GraphFile& graph, std::size_t parts) {
  if (graph.sparse) refuse("it has weights in a sparse form, and is left whole");
  std::vector<CutPlace> places;
  try {
    places = find_places(steps_of(graph));
  } catch (const Error& error) {
    refuse(error.message());
  }
  if (parts > places.size() + 1) {
    refuse(places.empty()
               ? fmt::format("there is no place where at most {} values cross, so it cannot be "
                             "split; the most layers are 1",
                             kCrossingMax)
               : fmt::format("it has {} places where it can be cut, so the most layers are {}",
                             places.size(), places.size() + 1));
  }
  return choose_cuts(places, parts);
}

std::string field_text(const GraphFile& graph, const Field& field) {
  return field.delimited ? message(field.number, graph.text_of(field))
                         : number(field.number, field.value);
}

}  // namespace

GraphSplit::GraphSplit(const GraphFile& graph, std::size_t parts) : graph_(graph) {
  std::size_t begin = 0;
  for (const std::size_t cut : cuts_of(graph, parts))
    parts_.push_back({std::exchange(begin, cut), cut, {}, {}});
  parts_.push_back({begin, graph.nodes.size(), {}, {}});
  find_values();
}

void GraphSplit::find_values() {
  std::unordered_map<std::string_view, std::size_t> maker;  // the part
  for (std::size_t p = 0; p < parts_.size(); ++p) {
    for (std::size_t n = parts_[p].begin; n < parts_[p].end; ++n) {
      for (const std::string& name : graph_.nodes[n].makes) maker.emplace(name, p);
    }
  }
  Names taken;  // as an output of its part
  for (const GraphFile::Value& output : graph_.outputs) {
    const auto at = maker.find(output.name);
    if (at == maker.end())
      refuse(fmt::format("its output '{}' is made by no node, so it is left whole", output.name));
    parts_[at->second].outputs.push_back(output.name);
    taken.insert(output.name);
  }
  for (std::size_t p = 1; p < parts_.size(); ++p) {
    Names seen;
    for (std::size_t n = parts_[p].begin; n < parts_[p].end; ++n) {
      for (const std::string& name : graph_.nodes[n].uses) {
        const auto at = maker.find(name);
        if (at == maker.end() || at->second == p || !seen.insert(name).second) continue;
        parts_[p].inputs.push_back(name);
        if (!taken.insert(name).second) continue;
        parts_[at->second].outputs.push_back(name);
        crossing_.push_back(name);
      }
    }
  }
}

std::string GraphSplit::model_of(const std::string& graph_text) const {
  std::string text;
  for (const Field& field : graph_.model) text += field_text(graph_, field);
  return text + message(kModelGraph, graph_text);
}

std::string GraphSplit::probe() const {
  std::string text;
  for (const Field& field : graph_.rest) text += field_text(graph_, field);
  const auto add = [&](std::uint32_t field, const auto& items) {
    for (const auto& item : items) text += message(field, graph_.text_of(item.message));
  };
  add(kGraphNode, graph_.nodes);
  add(kGraphInitializer, graph_.weights);
  add(kGraphInput, graph_.inputs);
  add(kGraphOutput, graph_.outputs);
  for (const std::string& name : crossing_) text += message(kGraphOutput, message(1, name));
  return model_of(text);
}

std::string GraphSplit::part(std::size_t index,
                             const std::map<std::string, std::string>& infos) const {
  const Part& part = parts_[index];
  std::string text;
  for (const Field& field : graph_.rest) text += field_text(graph_, field);
  Names used;
  for (std::size_t n = part.begin; n < part.end; ++n) {
    const GraphFile::Node& node = graph_.nodes[n];
    text += message(kGraphNode, graph_.text_of(node.message));
    used.insert(node.uses.begin(), node.uses.end());
  }
  for (const GraphFile::Weight& weight : graph_.weights) {
    if (used.contains(weight.name))
      text += message(kGraphInitializer, graph_.text_of(weight.message));
  }
  std::unordered_map<std::string_view, std::string_view> known;  // outputs of the whole
  for (const GraphFile::Value& output : graph_.outputs)
    known.emplace(output.name, graph_.text_of(output.message));
  const auto info_of = [&](const std::string& name) {
    const auto at = known.find(name);
    return at != known.end() ? at->second : std::string_view(infos.at(name));
  };
  for (const GraphFile::Value& input : graph_.inputs) {
    if (used.contains(input.name)) text += message(kGraphInput, graph_.text_of(input.message));
  }
  for (const std::string& name : part.inputs) text += message(kGraphInput, info_of(name));
  for (const std::string& name : part.outputs) text += message(kGraphOutput, info_of(name));
  return model_of(text);
}

// ValueInfoProto {name 1, type 2}, TypeProto {tensor_type 1}, Tensor {elem_type 1, shape 2},
// TensorShapeProto {dim 1}, Dimension {dim_value 1, dim_param 2}.
std::string value_info_text(const ValueInfo& value) {
  std::string tensor = number(1, static_cast<std::uint64_t>(value.element_type));
  if (value.known) {
    std::string shape;
    for (std::size_t d = 0; d < value.dims.size(); ++d) {
      std::string dim;
      if (value.dims[d] >= 0) {
        dim = number(1, static_cast<std::uint64_t>(value.dims[d]));
      } else if (d < value.dim_names.size() && !value.dim_names[d].empty()) {
        dim = message(2, value.dim_names[d]);
      }
      shape += message(1, dim);
    }
    tensor += message(2, shape);
  }
  return message(1, value.name) + message(2, message(1, tensor));
}

}  // namespace baozi::engine
