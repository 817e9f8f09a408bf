#include "baozi/engine/onnx/graph_split.h"

#include <gmock/gmock.h>

#include <map>
#include <string>
#include <vector>

#include "baozi/base/error.h"
#include "baozi/engine/onnx_file/onnx_writer.h"
#include "baozi/engine/scratch_folder.h"

namespace baozi::engine {
namespace {

using namespace onnx_writer;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string step(std::string_view op, const std::vector<std::string>& uses, std::string_view makes,
                 std::string_view attributes = "") {
  return message(1, node(op, uses, makes, attributes));
}
std::string input(std::string_view name) { return message(11, value_info(name, {"n"})); }
std::string output(std::string_view name) { return message(12, value_info(name, {"n"})); }
std::string weight(std::string_view name, std::string_view offset, std::string_view length,
                   std::string_view packed = "") {
  std::string tensor = external_tensor(name, 4, "weights.bin", offset, length);
  if (!packed.empty()) tensor += message(13, message(1, "prepacked_0") + message(2, packed));
  return message(5, tensor);
}

class GraphSplitTest : public testing::Test {
 protected:
  GraphFile read(const std::string& graph) {
    return read_graph(folder_.write("model.onnx", model(graph)));
  }
  // The nodes' outputs of a part, and the names of its weights, inputs and outputs.
  struct Seen {
    std::vector<std::string> nodes, weights, inputs, outputs;
  };
  Seen seen(const std::string& text) {
    const GraphFile graph = read_graph(folder_.write("part.onnx", text));
    Seen seen;
    for (const auto& each : graph.nodes) seen.nodes.push_back(each.makes.at(0));
    for (const auto& each : graph.weights) seen.weights.push_back(each.name);
    for (const auto& each : graph.inputs) seen.inputs.push_back(each.name);
    for (const auto& each : graph.outputs) seen.outputs.push_back(each.name);
    return seen;
  }
  static std::map<std::string, std::string> infos(const std::vector<std::string>& names) {
    std::map<std::string, std::string> infos;
    for (const std::string& name : names) infos[name] = value_info_text({.name = name});
    return infos;
  }
  static std::string why_not(const GraphFile& graph, std::size_t parts) {
    try {
      const GraphSplit split(graph, parts);
      return "";
    } catch (const NotSplit& refused) {
      return refused.message();
    }
  }

  const ScratchFolder folder_;
};

TEST_F(GraphSplitTest, APartHasWhatItsNodesUse) {
  const GraphFile graph =
      read(weight("w", "0", "400") + weight("v", "400", "400") + weight("both", "800", "4") +
           step("Add", {"x", "w"}, "a") + step("Add", {"a", "both"}, "b") +
           step("Add", {"b", "v"}, "c") + step("Add", {"c", "both"}, "y") + input("x") +
           output("y") + output("b"));
  const GraphSplit split(graph, 2);
  EXPECT_THAT(split.crossing(), IsEmpty());  // b is an output anyway
  const Seen first = seen(split.part(0, {}));
  EXPECT_THAT(first.nodes, ElementsAre("a", "b"));
  EXPECT_THAT(first.weights, ElementsAre("w", "both"));
  EXPECT_THAT(first.inputs, ElementsAre("x"));
  EXPECT_THAT(first.outputs, ElementsAre("b"));
  const Seen last = seen(split.part(1, {}));
  EXPECT_THAT(last.nodes, ElementsAre("c", "y"));
  EXPECT_THAT(last.weights, ElementsAre("v", "both"));
  EXPECT_THAT(last.inputs, ElementsAre("b"));
  EXPECT_THAT(last.outputs, ElementsAre("y"));
}

TEST_F(GraphSplitTest, AValueCanPassOverAPart) {
  const GraphFile graph = read(step("Neg", {"x"}, "a") + step("Abs", {"a"}, "b") +
                               step("Add", {"a", "b"}, "y") + input("x") + output("y"));
  const GraphSplit split(graph, 3);
  EXPECT_THAT(split.crossing(), ElementsAre("a", "b"));
  EXPECT_THAT(seen(split.part(0, infos(split.crossing()))).outputs, ElementsAre("a"));
  EXPECT_THAT(seen(split.part(1, infos(split.crossing()))).outputs, ElementsAre("b"));
  EXPECT_THAT(seen(split.part(2, infos(split.crossing()))).inputs, ElementsAre("a", "b"));
  EXPECT_THAT(seen(split.probe()).outputs, ElementsAre("y", "a", "b"));
  EXPECT_THAT(seen(split.probe()).nodes, ElementsAre("a", "b", "y"));
}

TEST_F(GraphSplitTest, WhatAGraphWithinTakesFromOutsideCrosses) {
  const std::string body = step("Add", {"a", "inner"}, "r") + message(12, value_info("r", {"n"})) +
                           weight("inner", "64", "16");
  const std::string branch = message(5, message(1, "then_branch") + message(6, body));
  const GraphFile graph =
      read(step("Neg", {"x"}, "a") + step("Abs", {"x"}, "b") + step("If", {"c"}, "y", branch) +
           input("x") + input("c") + output("y"));
  EXPECT_THAT(graph.nodes[2].uses, ::testing::IsSupersetOf({"c", "a"}));
  EXPECT_THAT(reads_of(graph), ElementsAre(ByteRange{64, 16}));
  const GraphSplit split(graph, 3);
  EXPECT_THAT(split.crossing(), ElementsAre("a"));
  EXPECT_THAT(seen(split.part(2, infos({"a"}))).inputs, ElementsAre("c", "a"));
}

TEST_F(GraphSplitTest, WhatCannotBeSplitSaysWhy) {
  EXPECT_THAT(why_not(read(step("Neg", {"x"}, "y") + input("x") + output("y")), 2),
              HasSubstr("the most layers are 1"));
  const std::string two = step("Neg", {"x"}, "a") + step("Abs", {"a"}, "y") + input("x");
  EXPECT_EQ(why_not(read(two + output("y")), 2), "");
  EXPECT_THAT(why_not(read(two + output("y")), 3), HasSubstr("the most layers are 2"));
  EXPECT_THAT(why_not(read(two + output("y") + output("stranger")), 2), HasSubstr("'stranger'"));
  EXPECT_THAT(why_not(read(two + output("y") + message(15, "")), 2), HasSubstr("sparse"));
  const std::string turned = step("Abs", {"a"}, "y") + step("Neg", {"x"}, "a") + input("x");
  EXPECT_THAT(why_not(read(turned + output("y")), 2), HasSubstr("'a'"));
}

TEST_F(GraphSplitTest, WeightsAreReadInTheOrderOfTheirUse) {
  const GraphFile graph =
      read(weight("late", "0", "100") + weight("packed", "200", "50", "MatMul+7|300;60;0|400;8;0") +
           weight("next", "408", "16") + step("Add", {"x", "packed"}, "a") +
           step("Add", {"a", "next"}, "b") + step("Add", {"b", "packed"}, "c") +
           step("Add", {"c", "late"}, "y") + input("x") + output("y"));
  EXPECT_THAT(reads_of(graph), ElementsAre(ByteRange{200, 50}, ByteRange{300, 60},
                                           ByteRange{400, 24}, ByteRange{0, 100}));
  EXPECT_EQ(graph.weights[1].bytes(), 118u);
}

TEST_F(GraphSplitTest, TablesThatAreLookedUpAreReadLast) {
  const GraphFile graph =
      read(weight("table", "0", "100") + weight("w", "100", "50") + weight("rows", "500", "8") +
           step("Gather", {"table", "x"}, "a") + step("Add", {"a", "w"}, "b") +
           step("Gather", {"b", "rows"}, "y") + input("x") + output("y"));
  EXPECT_THAT(reads_of(graph),
              ElementsAre(ByteRange{100, 50}, ByteRange{500, 8}, ByteRange{0, 100}));
}

TEST_F(GraphSplitTest, WhatIsNoGraphIsRefused) {
  EXPECT_THROW(read_graph(folder_.write("none.onnx", "bun")), Error);
  EXPECT_THROW(read_graph(folder_.write("none.onnx", number(1, 8))), Error);
  const std::string whole = model(step("Neg", {"x"}, "y") + weight("w", "0", "4"));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    try {
      read_graph(folder_.write("cut.onnx", whole.substr(0, size)));
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kInvalidArgument);
    }
  }
}

}  // namespace
}  // namespace baozi::engine
