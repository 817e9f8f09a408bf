// Bytes as an ONNX graph that is to be split: it is, or an Error says why not, and each node is in
// one part.
#include <cstdint>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>

#include "baozi/base/error.h"
#include "baozi/engine/onnx/graph_split.h"
#include "baozi/engine/scratch_folder.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace baozi;
  using namespace baozi::engine;
  static const ScratchFolder folder;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  try {
    const GraphFile graph = read_graph(folder.write("model.onnx", bytes));
    reads_of(graph);
    const GraphSplit split(graph, 3);
    std::map<std::string, std::string> infos;
    for (const std::string& name : split.crossing()) infos[name] = value_info_text({.name = name});
    std::size_t nodes = 0;
    for (std::size_t i = 0; i < split.parts(); ++i)
      nodes += read_graph(folder.write("part.onnx", split.part(i, infos))).nodes.size();
    if (nodes != graph.nodes.size()) std::abort();
    if (read_graph(folder.write("probe.onnx", split.probe())).nodes.size() != nodes) std::abort();
  } catch (const Error&) {
  }
  return 0;
}
