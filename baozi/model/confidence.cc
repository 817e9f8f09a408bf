#include "baozi/model/confidence.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "baozi/base/error.h"

namespace baozi::model {
namespace {

constexpr double kSlack = 1e-3;  // probabilities are rounded

// The softmax of the highest of them.
template <class T>
double top_of_logits(std::span<const T> row) {
  const auto top = static_cast<double>(*std::ranges::max_element(row));
  double sum = 0;
  for (const T value : row) sum += std::exp(static_cast<double>(value) - top);
  return 1 / sum;
}

template <class T>
double top_of_probabilities(std::span<const T> row) {
  const auto [least, most] = std::ranges::minmax_element(row);
  const double wrong = *least < 0 ? static_cast<double>(*least) : static_cast<double>(*most);
  if (wrong < 0 || wrong > 1 + kSlack) {
    throw Error(
        Code::kFailedPrecondition,
        fmt::format("{} is no probability; where scores are logits, say 'logits: true'", wrong));
  }
  return std::min(1.0, static_cast<double>(*most));
}

template <class T>
double least_sure(std::span<const T> scores, std::size_t rows, bool logits) {
  const std::size_t size = scores.size() / rows;
  double least = 1;
  for (std::size_t i = 0; i < rows; ++i) {
    const std::span<const T> row = scores.subspan(i * size, size);
    if (row.empty() || std::ranges::any_of(row, [](T value) { return std::isnan(value); }))
      return 0;
    const double top = logits ? top_of_logits(row) : top_of_probabilities(row);
    least = std::isnan(top) ? 0 : std::min(least, top);  // infinite logits
  }
  return least;
}

template <class T>
std::vector<float> widened(std::span<const T> values) {
  std::vector<float> wide;
  wide.reserve(values.size());
  for (const T value : values) wide.push_back(to_float(value));
  return wide;
}

}  // namespace

bool may_be_scores(DType dtype) noexcept {
  return dtype == DType::kFp32 || dtype == DType::kFp64 || dtype == DType::kFp16 ||
         dtype == DType::kBf16;
}

double confidence_of(const Tensor& scores, ScoreForm form) {
  if (!may_be_scores(scores.dtype())) {
    throw Error(Code::kFailedPrecondition, fmt::format("scores are floating-point numbers, not {}",
                                                       dtype_name(scores.dtype())));
  }
  const Shape& shape = scores.shape();
  const bool rows = form.rows && shape.rank() > 0;
  const std::size_t count = rows ? static_cast<std::size_t>(shape[0]) : 1;
  if (count == 0) return 1;
  switch (scores.dtype()) {
    case DType::kFp32:
      return least_sure(scores.values<float>(), count, form.logits);
    case DType::kFp64:
      return least_sure(scores.values<double>(), count, form.logits);
    case DType::kFp16:
      return least_sure<float>(widened(scores.values<Half>()), count, form.logits);
    default:
      return least_sure<float>(widened(scores.values<BFloat16>()), count, form.logits);
  }
}

}  // namespace baozi::model
