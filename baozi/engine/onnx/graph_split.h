// A graph's file taken apart: the text of the files of its parts, which run one after the other as
// the whole does. Parts name the same file of weights, by the same places. Internal to the engine.
//
//   const GraphFile graph = read_graph(folder / "model.onnx");
//   const GraphSplit split(graph, 4);                        // throws with the reason
//   write(split.probe());      // ONNX Runtime says of what type the values are that cross
//   write(split.part(0, infos));
//
// Thread safety: constant after construction. The graph outlives it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "baozi/base/error.h"
#include "baozi/engine/onnx/graph_file.h"

namespace baozi::engine {

// Why a model is not split.
class NotSplit : public Error {
 public:
  explicit NotSplit(std::string why) : Error(Code::kFailedPrecondition, std::move(why)) {}
};

class GraphSplit {
 public:
  // Throws NotSplit when the graph cannot be cut into so many parts; the message says into how many
  // at most, or what in the graph keeps it from that.
  GraphSplit(const GraphFile& graph, std::size_t parts);

  std::size_t parts() const noexcept { return parts_.size(); }
  // Names of the values that one part makes and a later one uses, and that are no outputs of the
  // whole.
  const std::vector<std::string>& crossing() const noexcept { return crossing_; }
  // The whole, with those values as outputs behind its own.
  std::string probe() const;
  // `infos`: of each such value its ValueInfoProto.
  std::string part(std::size_t index, const std::map<std::string, std::string>& infos) const;

 private:
  struct Part {
    std::size_t begin = 0;  // nodes
    std::size_t end = 0;
    std::vector<std::string> inputs;   // made by parts before
    std::vector<std::string> outputs;  // used by parts behind; outputs of the whole
  };

  void find_values();
  std::string model_of(const std::string& graph_text) const;

  const GraphFile& graph_;
  std::vector<Part> parts_;
  std::vector<std::string> crossing_;
};

// A ValueInfoProto. Dimensions: a size, -1 with a name, -1 with none; `known`: whether there is a
// shape at all.
struct ValueInfo {
  std::string name;
  int element_type = 1;  // TensorProto.DataType
  bool known = false;
  std::vector<std::int64_t> dims = {};
  std::vector<std::string> dim_names = {};
};
std::string value_info_text(const ValueInfo& value);

}  // namespace baozi::engine
