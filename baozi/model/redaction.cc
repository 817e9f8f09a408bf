#include "baozi/model/redaction.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdint>
#include <cstring>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "baozi/base/error.h"
#include "baozi/model/warmup_synthesis.h"

namespace baozi::model {
namespace {

struct Table {
  std::mutex mutex;
  std::map<std::string, Redaction, std::less<>> by_name{{"zero", &redact_values}};
};

Table& table() {
  static Table instance;
  return instance;
}

// Every element becomes words of the same length, in place.
void redact_strings(Tensor& tensor) noexcept {
  constexpr std::string_view kFiller = "steam bun tea table ";
  std::byte* at = tensor.mutable_data().mutable_data();
  std::byte* const end = at + tensor.data().size();
  while (at < end) {
    std::uint32_t length = 0;
    std::memcpy(&length, at, sizeof length);
    at += sizeof length;
    for (std::uint32_t i = 0; i < length; ++i)
      at[i] = static_cast<std::byte>(kFiller[i % kFiller.size()]);
    at += length;
  }
}

}  // namespace

void register_redaction(std::string name, Redaction redaction) {
  Table& all = table();
  const std::lock_guard lock(all.mutex);
  const auto [at, added] = all.by_name.try_emplace(std::move(name), redaction);
  if (!added)
    throw Error(Code::kAlreadyExists, fmt::format("there is a redaction '{}' already", at->first));
}

Redaction find_redaction(std::string_view name) {
  if (name.empty()) return nullptr;
  Table& all = table();
  const std::lock_guard lock(all.mutex);
  const auto at = all.by_name.find(name);
  if (at != all.by_name.end()) return at->second;
  std::vector<std::string> names;
  for (const auto& [known, redaction] : all.by_name) names.push_back(known);
  throw Error(Code::kNotFound, fmt::format("warmup.redact: no redaction '{}'; there are: {}", name,
                                           fmt::join(names, ", ")));
}

void redact_values(std::string_view, Tensors& inputs) noexcept {
  for (NamedTensor& input : inputs) {
    if (input.tensor.dtype() == DType::kBytes) {
      redact_strings(input.tensor);
    } else {
      input.tensor = synthesise_tensor(input.name, input.tensor.dtype(), input.tensor.shape());
    }
  }
}

}  // namespace baozi::model
