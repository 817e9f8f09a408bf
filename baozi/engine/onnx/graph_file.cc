#include "baozi/engine/onnx/graph_file.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>
#include <unordered_map>
#include <utility>

#include "baozi/base/error.h"

namespace baozi::engine {
namespace {

constexpr int kDepthMax = 64;              // graphs within graphs
constexpr std::size_t kTextMax = 1 << 16;  // names, and entries of external data

// Field numbers of onnx.proto.
namespace model_field {
enum : std::uint32_t { kGraph = 7 };
}
namespace graph_field {
enum : std::uint32_t {
  kNode = 1,
  kInitializer = 5,
  kInput = 11,
  kOutput = 12,
  kValueInfo = 13,
  kQuantization = 14,
  kSparseInitializer = 15
};
}
namespace node_field {
enum : std::uint32_t { kInput = 1, kOutput = 2, kOpType = 4, kAttribute = 5 };
}
namespace attribute_field {
enum : std::uint32_t { kGraph = 6, kGraphs = 11 };
}
namespace tensor_field {
enum : std::uint32_t { kName = 8, kExternalData = 13 };
}
namespace value_field {
enum : std::uint32_t { kName = 1 };
}
namespace entry_field {
enum : std::uint32_t { kKey = 1, kValue = 2 };
}

bool parse_number(std::string_view text, std::uint64_t& number) {
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  return failed == std::errc() && end == text.data() + text.size();
}

std::string_view up_to(std::string_view& text, char separator) {
  const std::size_t at = std::min(text.find(separator), text.size());
  const std::string_view part = text.substr(0, at);
  text.remove_prefix(std::min(at + 1, text.size()));
  return part;
}

// "KEY|OFFSET;LENGTH;CHECKSUM|…": one for each piece that the weight was packed into.
void add_packed(std::string_view text, std::vector<ByteRange>& ranges) {
  up_to(text, '|');
  while (!text.empty()) {
    std::string_view piece = up_to(text, '|');
    ByteRange range;
    if (parse_number(up_to(piece, ';'), range.offset) &&
        parse_number(up_to(piece, ';'), range.length))
      ranges.push_back(range);
  }
}

class GraphReader {
 public:
  GraphReader(WireFile& file, GraphFile& graph) : file_(file), graph_(graph) {}

  void model() {
    bool found = false;
    FieldReader fields(file_, 0, file_.size());
    for (Field field; fields.next(field);) {
      if (field.delimited && field.number == model_field::kGraph) {
        if (std::exchange(found, true))
          throw Error(Code::kInvalidArgument, "it has more than one graph");
        graph(field);
      } else {
        graph_.model.push_back(field);
      }
    }
    if (!found) throw Error(Code::kInvalidArgument, "it has no graph");
  }

 private:
  void graph(const Field& message) {
    FieldReader fields(file_, message);
    for (Field field; fields.next(field);) {
      switch (field.number) {
        case graph_field::kNode:
          graph_.nodes.push_back(node(field));
          break;
        case graph_field::kInitializer:
          graph_.weights.push_back(weight(field));
          break;
        case graph_field::kInput:
          graph_.inputs.push_back({text_field(field, value_field::kName), field});
          break;
        case graph_field::kOutput:
          graph_.outputs.push_back({text_field(field, value_field::kName), field});
          break;
        case graph_field::kSparseInitializer:
          graph_.sparse = true;
          break;
        case graph_field::kValueInfo:  // what ONNX Runtime finds out by itself
        case graph_field::kQuantization:
          break;
        default:
          graph_.rest.push_back(field);
      }
    }
  }

  GraphFile::Node node(const Field& message) {
    GraphFile::Node node{message, text_field(message, node_field::kOpType), {}, {}, {}};
    use(message, node, 0);
    FieldReader fields(file_, message);
    for (Field field; fields.next(field);) {
      if (!field.delimited || field.number != node_field::kOutput) continue;
      if (std::string name = read_text(file_, field, kTextMax); !name.empty())
        node.makes.push_back(std::move(name));
    }
    return node;
  }

  // What a node, at any depth, uses. Names that a graph within makes itself are counted, too: they
  // are no others' outside, so nothing comes of it.
  void use(const Field& message, GraphFile::Node& into, int depth) {
    if (depth > kDepthMax) throw Error(Code::kInvalidArgument, "its graphs are nested too deep");
    FieldReader fields(file_, message);
    for (Field field; fields.next(field);) {
      if (!field.delimited) continue;
      if (field.number == node_field::kInput) {
        if (std::string name = read_text(file_, field, kTextMax); !name.empty())
          into.uses.push_back(std::move(name));
      } else if (field.number == node_field::kAttribute) {
        FieldReader attribute(file_, field);
        for (Field part; attribute.next(part);) {
          const bool is_graph =
              part.number == attribute_field::kGraph || part.number == attribute_field::kGraphs;
          if (part.delimited && is_graph) use_of_graph(part, into, depth + 1);
        }
      }
    }
  }

  void use_of_graph(const Field& message, GraphFile::Node& into, int depth) {
    FieldReader fields(file_, message);
    for (Field field; fields.next(field);) {
      if (!field.delimited) continue;
      if (field.number == graph_field::kNode) use(field, into, depth);
      if (field.number == graph_field::kOutput)
        into.uses.push_back(text_field(field, value_field::kName));
      if (field.number == graph_field::kInitializer) {
        for (const ByteRange& range : weight(field).ranges) into.ranges.push_back(range);
      }
    }
  }

  GraphFile::Weight weight(const Field& message) {
    GraphFile::Weight weight{"", message, {}};
    ByteRange whole;
    FieldReader fields(file_, message);
    for (Field field; fields.next(field);) {
      if (!field.delimited) continue;
      if (field.number == tensor_field::kName) weight.name = read_text(file_, field, kTextMax);
      if (field.number == tensor_field::kExternalData) entry(field, whole, weight.ranges);
    }
    if (whole.length > 0) weight.ranges.insert(weight.ranges.begin(), whole);
    return weight;
  }

  void entry(const Field& message, ByteRange& whole, std::vector<ByteRange>& packed) {
    const std::string key = text_field(message, entry_field::kKey);
    const std::string value = text_field(message, entry_field::kValue);
    const bool sound = key != "offset" && key != "length";
    if (key.starts_with("prepacked")) add_packed(value, packed);
    if (!sound && !parse_number(value, key == "offset" ? whole.offset : whole.length))
      throw Error(Code::kInvalidArgument, "the place of a weight is no number");
  }

  std::string text_field(const Field& message, std::uint32_t number) {
    std::string text;
    FieldReader fields(file_, message);
    for (Field field; fields.next(field);) {
      if (field.delimited && field.number == number) text = read_text(file_, field, kTextMax);
    }
    return text;
  }

  WireFile& file_;
  GraphFile& graph_;
};

}  // namespace

std::uint64_t GraphFile::Weight::bytes() const noexcept {
  std::uint64_t total = ranges.empty() ? message.end - message.begin : 0;
  for (const ByteRange& range : ranges) total += range.length;
  return total;
}

GraphFile read_graph(const std::filesystem::path& file) {
  GraphFile graph;
  WireFile wire(file);
  GraphReader(wire, graph).model();
  std::ifstream stream(file, std::ios::binary);
  graph.bytes.assign(std::istreambuf_iterator<char>(stream), {});
  if (graph.bytes.size() != wire.size())
    throw Error(Code::kInvalidArgument, "it cannot be read, or changes while it is read");
  return graph;
}

namespace {

void add(const ByteRange& range, std::vector<ByteRange>& to) {
  if (!to.empty() && to.back().offset + to.back().length == range.offset) {
    to.back().length += range.length;
  } else {
    to.push_back(range);
  }
}

}  // namespace

std::vector<ByteRange> reads_of(const GraphFile& graph) {
  std::unordered_map<std::string_view, const GraphFile::Weight*> weights;
  for (const GraphFile::Weight& weight : graph.weights) weights.emplace(weight.name, &weight);
  std::vector<ByteRange> reads;
  std::vector<ByteRange> tables;
  for (const GraphFile::Node& node : graph.nodes) {
    for (const std::string& name : node.uses) {
      const auto at = weights.find(name);
      if (at == weights.end()) continue;
      const bool looked_up = node.op == "Gather" && &name == &node.uses.front();
      for (const ByteRange& range : at->second->ranges) add(range, looked_up ? tables : reads);
      weights.erase(at);  // read once
    }
    for (const ByteRange& range : node.ranges) add(range, reads);
  }
  for (const ByteRange& range : tables) add(range, reads);
  return reads;
}

}  // namespace baozi::engine
