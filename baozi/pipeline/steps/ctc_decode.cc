#include "baozi/pipeline/steps/ctc_decode.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <span>

#include "baozi/base/error.h"

namespace baozi::pipeline {
namespace {

struct Best {
  std::size_t index = 0;
  float value = 0;
  bool finite = true;
};

// First of the largest values. In lanes, so that the compiler can use vector registers without
// being allowed to reorder floating-point arithmetic.
Best best_class(std::span<const float> row) noexcept {
  constexpr std::size_t kLanes = 16;
  std::array<float, kLanes> highest, poison{};
  highest.fill(row[0]);
  std::size_t c = 0;
  for (; c + kLanes <= row.size(); c += kLanes) {
    const float* at = row.data() + c;
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      highest[lane] = at[lane] > highest[lane] ? at[lane] : highest[lane];
      poison[lane] += at[lane] * 0.0f;  // stays 0 unless a value is infinite or NaN
    }
  }
  Best best{.value = row[0]};
  float poisoned = 0;
  for (; c < row.size(); ++c) {
    best.value = row[c] > best.value ? row[c] : best.value;
    poisoned += row[c] * 0.0f;
  }
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    best.value = highest[lane] > best.value ? highest[lane] : best.value;
    poisoned += poison[lane];
  }
  best.finite = poisoned == 0;
  if (!best.finite) return best;
  while (row[best.index] != best.value) ++best.index;
  return best;
}

RecognisedText decode_row(std::span<const float> steps, std::size_t classes,
                          const CtcDictionary& dictionary, std::size_t n) {
  RecognisedText recognised;
  double total = 0;
  std::size_t counted = 0, previous = 0;
  for (std::size_t t = 0; t * classes < steps.size(); ++t) {
    const Best best = best_class(steps.subspan(t * classes, classes));
    if (!best.finite) {
      throw Error(
          Code::kInternal,
          fmt::format("the recogniser's output is not finite (NaN or infinity) at row {}, step {}",
                      n, t));
    }
    if (best.index != 0 && best.index != previous) {
      recognised.text += dictionary[best.index];
      total += best.value;
      ++counted;
    }
    previous = best.index;
  }
  if (counted > 0) recognised.score = static_cast<float>(total / static_cast<double>(counted));
  return recognised;
}

}  // namespace

CtcDictionary::CtcDictionary(std::string_view lines) {
  characters_.emplace_back();
  while (!lines.empty()) {
    const std::size_t end = std::min(lines.find('\n'), lines.size());
    std::string_view line = lines.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    characters_.emplace_back(line);
    lines.remove_prefix(std::min(end + 1, lines.size()));
  }
  if (characters_.size() == 1) {
    throw Error(Code::kInvalidArgument,
                "the recogniser's dictionary is empty; it needs one character a line");
  }
  characters_.emplace_back(" ");
}

std::vector<RecognisedText> ctc_decode(const Tensor& probabilities,
                                       const CtcDictionary& dictionary) {
  const Shape& shape = probabilities.shape();
  if (probabilities.dtype() != DType::kFp32 || shape.rank() != 3) {
    throw Error(Code::kInvalidArgument,
                fmt::format("CTC decoding needs FP32 [N,T,C], got {} {}",
                            dtype_name(probabilities.dtype()), to_string(shape)));
  }
  const auto classes = static_cast<std::size_t>(shape[2]);
  if (classes != dictionary.classes()) {
    throw Error(
        Code::kInvalidArgument,
        fmt::format(
            "the recogniser gives {} classes, its dictionary has {} (its lines, blank and space): "
            "it belongs to another model",
            classes, dictionary.classes()));
  }
  const std::size_t row_size = static_cast<std::size_t>(shape[1]) * classes;
  std::vector<RecognisedText> texts;
  texts.reserve(static_cast<std::size_t>(shape[0]));
  for (std::size_t n = 0; n < static_cast<std::size_t>(shape[0]); ++n) {
    texts.push_back(decode_row(probabilities.values<float>().subspan(n * row_size, row_size),
                               classes, dictionary, n));
  }
  return texts;
}

}  // namespace baozi::pipeline
