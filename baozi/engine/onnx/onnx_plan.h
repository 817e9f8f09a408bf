// OnnxPlan: what is kept beside a prepared ONNX model so that it need not be opened to be known: in
// which order its weights are read, and, of one that is split into parts, its signature.
//
//   folder/plan: format_plan({.parts = 4, .signature = …, .reads = reads_of(graph)})
//   std::optional<OnnxPlan> plan = parse_plan(text);   // nothing when it is not whole
//
// Thread safety: values, and free functions.
// Format: docs/cold-start.md, "The store's files".
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "baozi/engine/engine.h"
#include "baozi/engine/read_ahead.h"
#include "baozi/engine/signature.h"

namespace baozi::engine {

struct OnnxPlan {
  int parts = 1;
  Signature signature = {};                          // empty when parts is 1
  std::map<std::string, std::string> metadata = {};  // empty when parts is 1
  std::vector<ByteRange> reads = {};                 // of the file of weights
};

std::string format_plan(const OnnxPlan& plan);
std::optional<OnnxPlan> parse_plan(std::string_view text);

// On one line, and without doubt about where a word ends: what is not printed, spaces and '%' as
// %XX.
std::string escaped(std::string_view text);
std::optional<std::string> unescaped(std::string_view text);

}  // namespace baozi::engine
