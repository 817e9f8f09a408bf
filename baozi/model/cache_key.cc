#include "baozi/model/cache_key.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>
#include <variant>
#include <vector>

#include "baozi/model/hasher.h"

namespace baozi::model {
namespace {

// Raised when the meaning of a key changes: entries of before are then found no more.
constexpr std::uint32_t kKeyVersion = 1;

// Pointers to the elements in order of their names; on the stack when they are few.
template <class T, class Name>
class Sorted {
 public:
  Sorted(const std::vector<T>& all, Name name) {
    if (all.size() > few_.size()) many_.resize(all.size());
    const std::span<const T*> room =
        many_.empty() ? std::span(few_.data(), all.size()) : std::span(many_);
    std::ranges::transform(all, room.begin(), [](const T& each) { return &each; });
    std::ranges::sort(room, {}, [&](const T* each) -> std::string_view { return name(*each); });
    sorted_ = room;
  }
  Sorted(const Sorted&) = delete;
  Sorted& operator=(const Sorted&) = delete;

  auto begin() const { return sorted_.begin(); }
  auto end() const { return sorted_.end(); }

 private:
  std::array<const T*, 16> few_;
  std::vector<const T*> many_;
  std::span<const T*> sorted_;
};

void add_tensor(Hasher& hasher, const NamedTensor& input) {
  hasher.add(input.name);
  const Tensor& tensor = input.tensor;
  hasher.add(static_cast<std::uint8_t>(tensor.dtype()));
  hasher.add(static_cast<std::uint64_t>(tensor.shape().rank()));
  for (const std::int64_t dim : tensor.shape()) hasher.add(dim);
  hasher.add(tensor.data().text());
}

void add_parameter(Hasher& hasher, const std::string& name, const Parameter& value) {
  hasher.add(name);
  hasher.add(static_cast<std::uint8_t>(value.index()));
  std::visit(
      [&](const auto& held) {
        if constexpr (std::is_same_v<std::decay_t<decltype(held)>, std::string>)
          hasher.add(std::string_view(held));
        else
          hasher.add(held);
      },
      value);
}

}  // namespace

std::string to_string(const CacheKey& key) {
  return fmt::format("{:016x}{:016x}", key.high, key.low);
}

CacheKey cache_scope(std::string_view model, std::string_view version, std::string_view identity) {
  Hasher hasher;
  hasher.add(kKeyVersion);
  hasher.add(model);
  hasher.add(version);
  hasher.add(identity);
  return hasher.digest();
}

CacheKey cache_key(const CacheKey& scope, const InferRequest& request) {
  Hasher hasher;
  hasher.add(scope);
  hasher.add(request.tenant);
  hasher.add(static_cast<std::uint64_t>(request.inputs.size()));
  const auto name_of = [](const NamedTensor& each) -> std::string_view { return each.name; };
  for (const NamedTensor* input : Sorted<NamedTensor, decltype(name_of)>(request.inputs, name_of))
    add_tensor(hasher, *input);
  hasher.add(static_cast<std::uint64_t>(request.parameters.size()));
  for (const auto& [name, value] : request.parameters) add_parameter(hasher, name, value);
  hasher.add(static_cast<std::uint64_t>(request.outputs.size()));
  const auto itself = [](const std::string& name) -> std::string_view { return name; };
  for (const std::string* name : Sorted<std::string, decltype(itself)>(request.outputs, itself))
    hasher.add(std::string_view(*name));
  return hasher.digest();
}

}  // namespace baozi::model
