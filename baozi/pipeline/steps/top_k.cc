#include "baozi/pipeline/steps/top_k.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "baozi/base/error.h"

namespace baozi::pipeline {

std::vector<RankedClass> top_k(std::span<const float> scores, std::span<const std::string> labels,
                               const TopKOptions& options, std::string_view tensor_name) {
  for (std::size_t i = 0; i < scores.size(); ++i) {
    if (!std::isfinite(scores[i])) {
      throw Error(Code::kInternal,
                  fmt::format("the model's output '{}' is not finite: score {} is {}", tensor_name,
                              i, scores[i]));
    }
  }
  std::vector<std::size_t> order(scores.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto end = order.begin() + static_cast<std::ptrdiff_t>(std::min(options.k, order.size()));
  std::partial_sort(order.begin(), end, order.end(), [&](std::size_t a, std::size_t b) {
    return scores[a] != scores[b] ? scores[a] > scores[b] : a < b;
  });

  float highest = 0;
  double total = 1;
  if (options.softmax && !scores.empty()) {
    highest = *std::max_element(scores.begin(), scores.end());  // keeps exp() from overflowing
    total = 0;
    for (const float score : scores) total += std::exp(score - highest);
  }
  std::vector<RankedClass> ranked;
  ranked.reserve(static_cast<std::size_t>(end - order.begin()));
  for (auto at = order.begin(); at != end; ++at) {
    const float score =
        options.softmax ? static_cast<float>(std::exp(scores[*at] - highest) / total) : scores[*at];
    const std::string_view label =
        *at < labels.size() ? std::string_view(labels[*at]) : std::string_view();
    ranked.push_back({.index = *at, .score = score, .label = label});
  }
  return ranked;
}

}  // namespace baozi::pipeline
