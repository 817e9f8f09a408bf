#include "baozi/engine/onnx/onnx_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <ranges>
#include <utility>

#include "baozi/engine/prepared_record.h"

namespace baozi::engine {
namespace {

constexpr std::string_view kHead = "baozi-plan";
constexpr std::string_view kVersion = "1";
constexpr std::size_t kReadsMax = 20'000;  // what is behind them is read when it is used

std::string_view take_word(std::string_view& text) {
  const std::size_t space = std::min(text.find(' '), text.size());
  const std::string_view word = text.substr(0, space);
  text.remove_prefix(std::min(space + 1, text.size()));
  return word;
}

template <class T>
bool parse_number(std::string_view word, T& number) {
  const auto [end, failed] = std::from_chars(word.data(), word.data() + word.size(), number);
  return !word.empty() && failed == std::errc() && end == word.data() + word.size();
}

// "DTYPE NAME DIM[:NAME] …"
std::string spec_text(const TensorSpec& spec) {
  std::string text = fmt::format("{} {}", dtype_name(spec.dtype), escaped(spec.name));
  for (std::size_t d = 0; d < spec.shape.rank(); ++d) {
    text += fmt::format(" {}", spec.shape[d]);
    if (d < spec.dim_names.size() && !spec.dim_names[d].empty())
      text += ':' + escaped(spec.dim_names[d]);
  }
  return text;
}

std::optional<TensorSpec> parse_spec(std::string_view text) {
  const std::optional<DType> dtype = dtype_from_name(take_word(text));
  std::optional<std::string> name = unescaped(take_word(text));
  if (!dtype || !name) return std::nullopt;
  TensorSpec spec{*std::move(name), *dtype, {}};
  while (!text.empty()) {
    const std::string_view word = take_word(text);
    const std::size_t colon = std::min(word.find(':'), word.size());
    std::int64_t dim = 0;
    std::optional<std::string> dim_name =
        colon < word.size() ? unescaped(word.substr(colon + 1)) : std::string();
    const bool sound = parse_number(word.substr(0, colon), dim) && dim >= -1 && dim_name &&
                       spec.shape.rank() < Shape::kRankMax;
    if (!sound) return std::nullopt;
    spec.shape.push_back(dim);
    spec.dim_names.push_back(*std::move(dim_name));
  }
  return spec;
}

bool parse_line(std::string_view word, std::string_view rest, OnnxPlan& plan) {
  if (word == "parts")
    return parse_number(rest, plan.parts) && plan.parts >= 1 && plan.parts <= kLayersMax;
  if (word == "input" || word == "output") {
    std::optional<TensorSpec> spec = parse_spec(rest);
    if (!spec) return false;
    (word == "input" ? plan.signature.inputs : plan.signature.outputs).push_back(*std::move(spec));
  } else if (word == "metadata") {
    std::optional<std::string> key = unescaped(take_word(rest));
    std::optional<std::string> value = unescaped(rest);
    if (!key || !value) return false;
    plan.metadata[*std::move(key)] = *std::move(value);
  } else if (word == "read") {
    ByteRange range;
    if (!parse_number(take_word(rest), range.offset) || !parse_number(rest, range.length))
      return false;
    plan.reads.push_back(range);
  }
  return true;
}

}  // namespace

std::string escaped(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c == '%' || static_cast<unsigned char>(c) <= ' ') {
      result += fmt::format("%{:02x}", static_cast<unsigned char>(c));
    } else {
      result += c;
    }
  }
  return result;
}

std::optional<std::string> unescaped(std::string_view text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      result += text[i];
      continue;
    }
    const std::string_view digits = text.substr(i + 1, 2);
    unsigned char value = 0;
    const auto [end, failed] =
        std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
    if (failed != std::errc() || digits.size() != 2 || end != digits.data() + digits.size())
      return std::nullopt;
    result += static_cast<char>(value);
    i += 2;
  }
  return result;
}

std::string format_plan(const OnnxPlan& plan) {
  RecordLines lines{{std::string(kHead), std::string(kVersion)},
                    {"parts", std::to_string(plan.parts)}};
  for (const TensorSpec& spec : plan.signature.inputs) lines.push_back({"input", spec_text(spec)});
  for (const TensorSpec& spec : plan.signature.outputs)
    lines.push_back({"output", spec_text(spec)});
  for (const auto& [key, value] : plan.metadata)
    lines.push_back({"metadata", fmt::format("{} {}", escaped(key), escaped(value))});
  for (const ByteRange& range : plan.reads | std::views::take(kReadsMax))
    lines.push_back({"read", fmt::format("{} {}", range.offset, range.length)});
  return seal(lines);
}

std::optional<OnnxPlan> parse_plan(std::string_view text) {
  const std::optional<RecordLines> lines = unseal(text);
  if (!lines || lines->empty() ||
      (*lines)[0] != RecordLine{std::string(kHead), std::string(kVersion)})
    return std::nullopt;
  OnnxPlan plan;
  for (const auto& [word, rest] : *lines) {
    if (!parse_line(word, rest, plan)) return std::nullopt;
  }
  return plan;
}

}  // namespace baozi::engine
