// The k best classes of a model's scores, with their labels.
//
// Thread safety: pure functions.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace baozi::pipeline {

struct TopKOptions {
  std::size_t k = 5;
  bool softmax = false;  // the scores are logits: turn them into probabilities first
};

struct RankedClass {
  std::size_t index = 0;
  float score = 0;
  std::string_view label;  // of `labels`; empty when there is none for the index
};

// The min(k, scores) best of `scores`, best first; equal scores in the order of their index.
// Throws Error kInternal, naming `tensor_name`, when a score is not finite.
std::vector<RankedClass> top_k(std::span<const float> scores, std::span<const std::string> labels,
                               const TopKOptions& options, std::string_view tensor_name);

}  // namespace baozi::pipeline
