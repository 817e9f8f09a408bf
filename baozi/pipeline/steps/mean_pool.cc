#include "baozi/pipeline/steps/mean_pool.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>

#include "baozi/base/error.h"

namespace baozi::pipeline {
namespace {

void check(const Tensor& hidden, const Tensor& mask) {
  const Shape& shape = hidden.shape();
  if (hidden.dtype() != DType::kFp32 || shape.rank() != 3) {
    throw Error(Code::kInvalidArgument,
                fmt::format("mean pooling needs token embeddings FP32 [N,S,D], got {} {}",
                            dtype_name(hidden.dtype()), to_string(shape)));
  }
  if (mask.dtype() != DType::kInt64 || mask.shape() != Shape{shape[0], shape[1]}) {
    throw Error(Code::kInvalidArgument,
                fmt::format("mean pooling of {} needs a mask INT64 {}, got {} {}", to_string(shape),
                            to_string(Shape{shape[0], shape[1]}), dtype_name(mask.dtype()),
                            to_string(mask.shape())));
  }
}

// The sum of the counted rows of `tokens` [S,D] into `out` [D]; returns how many they are.
std::size_t sum_rows(std::span<const float> tokens, std::span<const std::int64_t> mask,
                     std::span<float> out) {
  std::size_t counted = 0;
  const std::size_t width = out.size();
  for (std::size_t s = 0; s < mask.size(); ++s) {
    if (mask[s] == 0) continue;
    ++counted;
    const float* row = tokens.data() + s * width;
    float* sum = out.data();
    for (std::size_t d = 0; d < width; ++d) sum[d] += row[d];
  }
  return counted;
}

}  // namespace

Tensor mean_pool(const Tensor& hidden, const Tensor& mask, const MeanPoolOptions& options,
                 Allocator& allocator) {
  check(hidden, mask);
  const auto rows = static_cast<std::size_t>(hidden.shape()[0]);
  const auto length = static_cast<std::size_t>(hidden.shape()[1]);
  const auto width = static_cast<std::size_t>(hidden.shape()[2]);
  Tensor pooled = Tensor::allocate(DType::kFp32, {hidden.shape()[0], hidden.shape()[2]}, allocator);
  const std::span<float> out = pooled.mutable_values<float>();
  std::fill(out.begin(), out.end(), 0.0f);
  for (std::size_t n = 0; n < rows; ++n) {
    const std::span<float> row = out.subspan(n * width, width);
    const std::size_t counted =
        sum_rows(hidden.values<float>().subspan(n * length * width, length * width),
                 mask.values<std::int64_t>().subspan(n * length, length), row);
    double squares = 0;
    for (const float sum : row) squares += static_cast<double>(sum) * sum;
    if (!std::isfinite(squares)) {
      throw Error(
          Code::kInternal,
          fmt::format("row {} of the model's token embeddings is not finite (NaN or infinity)", n));
    }
    const double divisor = options.l2_normalise ? std::sqrt(squares) : static_cast<double>(counted);
    if (divisor == 0) continue;
    const auto scale = static_cast<float>(1 / divisor);
    for (float& value : row) value *= scale;
  }
  return pooled;
}

}  // namespace baozi::pipeline
