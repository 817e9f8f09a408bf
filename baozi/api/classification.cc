#include "baozi/api/classification.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <type_traits>

#include "baozi/base/error.h"

namespace baozi::api {
namespace {

template <class T>
double as_score(T value) {
  if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
    return to_float(value);
  } else {
    return static_cast<double>(value);
  }
}

template <class T>
std::vector<double> scores_of(const Tensor& tensor) {
  std::vector<double> scores;
  scores.reserve(static_cast<std::size_t>(tensor.elements()));
  for (const T value : tensor.values<T>()) scores.push_back(as_score(value));
  return scores;
}

std::vector<double> as_scores(const Tensor& tensor) {
  switch (tensor.dtype()) {
    case DType::kUint8:
      return scores_of<std::uint8_t>(tensor);
    case DType::kUint16:
      return scores_of<std::uint16_t>(tensor);
    case DType::kUint32:
      return scores_of<std::uint32_t>(tensor);
    case DType::kUint64:
      return scores_of<std::uint64_t>(tensor);
    case DType::kInt8:
      return scores_of<std::int8_t>(tensor);
    case DType::kInt16:
      return scores_of<std::int16_t>(tensor);
    case DType::kInt32:
      return scores_of<std::int32_t>(tensor);
    case DType::kInt64:
      return scores_of<std::int64_t>(tensor);
    case DType::kFp16:
      return scores_of<Half>(tensor);
    case DType::kBf16:
      return scores_of<BFloat16>(tensor);
    case DType::kFp32:
      return scores_of<float>(tensor);
    case DType::kFp64:
      return scores_of<double>(tensor);
    case DType::kBool:
    case DType::kBytes:
      break;
  }
  throw Error(
      Code::kInvalidArgument,
      fmt::format("classification needs an output of numbers, not {}", dtype_name(tensor.dtype())));
}

// NaN ranks below every number.
bool ranks_before(double a, double b) { return a > b || (a == a && b != b); }

bool is_float(DType dtype) {
  return dtype == DType::kFp16 || dtype == DType::kBf16 || dtype == DType::kFp32 ||
         dtype == DType::kFp64;
}

}  // namespace

std::vector<std::vector<ClassScore>> best_classes(const Tensor& scores, bool batched,
                                                  std::size_t count) {
  const std::vector<double> values = as_scores(scores);
  const bool rows_stand = batched && scores.shape().rank() > 0;
  const std::size_t rows = rows_stand ? static_cast<std::size_t>(scores.shape()[0]) : 1;
  const std::size_t width = rows == 0 ? 0 : values.size() / rows;
  const std::size_t kept = std::min(count, width);
  std::vector<std::vector<ClassScore>> best(rows);
  std::vector<std::int64_t> order(width);
  for (std::size_t row = 0; row < rows; ++row) {
    const double* of_row = values.data() + row * width;
    std::iota(order.begin(), order.end(), 0);
    std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(kept), order.end(),
                      [&](std::int64_t a, std::int64_t b) {
                        if (ranks_before(of_row[a], of_row[b])) return true;
                        if (ranks_before(of_row[b], of_row[a])) return false;
                        return a < b;
                      });
    best[row].reserve(kept);
    for (std::size_t k = 0; k < kept; ++k) best[row].push_back({order[k], of_row[order[k]]});
  }
  return best;
}

Tensor classification_tensor(const Tensor& scores, bool batched, std::size_t count,
                             const std::vector<std::string>& labels) {
  const std::vector<std::vector<ClassScore>> best = best_classes(scores, batched, count);
  std::vector<std::string> texts;
  for (const std::vector<ClassScore>& row : best) {
    for (const ClassScore& entry : row) {
      std::string text = is_float(scores.dtype())
                             ? fmt::format("{:f}:{}", entry.score, entry.index)
                             : fmt::format("{:.0f}:{}", entry.score, entry.index);
      const auto index = static_cast<std::size_t>(entry.index);
      if (index < labels.size()) text += ":" + labels[index];
      texts.push_back(std::move(text));
    }
  }
  Shape shape;
  const bool rows_stand = batched && scores.shape().rank() > 0;
  if (rows_stand) shape.push_back(static_cast<std::int64_t>(best.size()));
  shape.push_back(best.empty() ? 0 : static_cast<std::int64_t>(best.front().size()));
  const std::vector<std::string_view> views(texts.begin(), texts.end());
  return Tensor::of_strings(shape, views);
}

}  // namespace baozi::api
