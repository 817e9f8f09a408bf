#include "baozi/pipeline/voices.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <variant>

#include "baozi/model/cascade.h"

namespace baozi::pipeline {
namespace {

constexpr std::string_view kBetween = ", ";

}  // namespace

void Voices::hear(const model::InferResponse& response) {
  if (response.parameters.empty()) return;
  const auto at = response.parameters.find(std::string(model::kAnsweredBy));
  if (at == response.parameters.end()) return;
  const auto* const names = std::get_if<std::string>(&at->second);
  if (names == nullptr) return;
  const std::lock_guard lock(mutex_);
  // Another pipeline may have heard several.
  std::string_view left = *names;
  while (!left.empty()) {
    const std::size_t end = std::min(left.find(kBetween), left.size());
    names_.emplace(left.substr(0, end));
    left.remove_prefix(std::min(end + kBetween.size(), left.size()));
  }
}

void Voices::say_in(model::InferResponse& response) const {
  const std::lock_guard lock(mutex_);
  if (names_.empty()) return;
  response.parameters.insert_or_assign(std::string(model::kAnsweredBy),
                                       fmt::format("{}", fmt::join(names_, kBetween)));
}

}  // namespace baozi::pipeline
