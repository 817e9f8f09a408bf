#include "baozi/model/warmup_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "baozi/base/log.h"

namespace baozi::model {
namespace {

[[noreturn]] void refuse(std::string message) {
  throw Error(Code::kFailedPrecondition, std::move(message));
}

double as_double(float value) noexcept { return static_cast<double>(value); }
double as_double(double value) noexcept { return value; }
double as_double(Half value) noexcept { return static_cast<double>(to_float(value)); }
double as_double(BFloat16 value) noexcept { return static_cast<double>(to_float(value)); }

// Calls f with the values of a floating-point tensor; not for others.
template <class F>
void with_floats(const Tensor& tensor, F&& f) {
  switch (tensor.dtype()) {
    case DType::kFp16:
      return f(tensor.values<Half>());
    case DType::kBf16:
      return f(tensor.values<BFloat16>());
    case DType::kFp32:
      return f(tensor.values<float>());
    case DType::kFp64:
      return f(tensor.values<double>());
    default:
      return;
  }
}

bool is_floating(DType dtype) noexcept {
  return dtype == DType::kFp16 || dtype == DType::kBf16 || dtype == DType::kFp32 ||
         dtype == DType::kFp64;
}

bool near(double value, double expected, double tolerance) noexcept {
  if (std::isnan(expected)) return std::isnan(value);
  if (std::isinf(expected)) return value == expected;
  return std::abs(value - expected) <= tolerance * std::max(1.0, std::abs(expected));
}

void check_floats(const std::string& name, const Tensor& tensor, const Tensor& expected,
                  double tolerance) {
  with_floats(tensor, [&]<class T>(std::span<const T> values) {
    const std::span<const T> wanted = expected.values<T>();
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (near(as_double(values[i]), as_double(wanted[i]), tolerance)) continue;
      refuse(fmt::format("output '{}' has {} at element {}, but {} is expected (tolerance {})",
                         name, as_double(values[i]), i, as_double(wanted[i]), tolerance));
    }
  });
}

void check_exact(const std::string& name, const Tensor& tensor, const Tensor& expected) {
  if (tensor.dtype() == DType::kBytes) {
    const std::vector<std::string_view> found = tensor.strings();
    const std::vector<std::string_view> wanted = expected.strings();
    const auto differ = std::ranges::mismatch(found, wanted);
    if (differ.in1 == found.end()) return;
    refuse(fmt::format("output '{}' has '{}' at element {}, but '{}' is expected", name,
                       *differ.in1, differ.in1 - found.begin(), *differ.in2));
  }
  const std::size_t size = tensor.data().size();
  if (size == 0 || std::memcmp(tensor.data().data(), expected.data().data(), size) == 0) return;
  const auto differ = std::ranges::mismatch(tensor.data().span(), expected.data().span());
  const auto at = static_cast<std::size_t>(differ.in1 - tensor.data().span().begin());
  refuse(fmt::format("output '{}' is not as expected from element {} on", name,
                     at / dtype_size(tensor.dtype())));
}

}  // namespace

void check_finite(const Tensors& outputs, SampleOrigin origin) {
  const bool infinite = origin == SampleOrigin::kSynthesised;
  for (const NamedTensor& output : outputs) {
    with_floats(output.tensor, [&]<class T>(std::span<const T> values) {
      for (std::size_t i = 0; i < values.size(); ++i) {
        const double value = as_double(values[i]);
        if (std::isfinite(value) || (infinite && std::isinf(value))) continue;
        refuse(fmt::format("output '{}' has {} at element {}", output.name,
                           std::isnan(value) ? "NaN" : "an infinity", i));
      }
    });
  }
}

void check_equal(const Tensors& outputs, const Tensors& expected, double tolerance) {
  for (const NamedTensor& wanted : expected) {
    const Tensor* found = find_tensor(outputs, wanted.name);
    if (found == nullptr) refuse(fmt::format("there is no output '{}'", wanted.name));
    if (found->dtype() != wanted.tensor.dtype() || found->shape() != wanted.tensor.shape()) {
      refuse(fmt::format("output '{}' is {} {}, but {} {} is expected", wanted.name,
                         dtype_name(found->dtype()), to_string(found->shape()),
                         dtype_name(wanted.tensor.dtype()), to_string(wanted.tensor.shape())));
    }
    if (is_floating(found->dtype())) {
      check_floats(wanted.name, *found, wanted.tensor, tolerance);
    } else {
      check_exact(wanted.name, *found, wanted.tensor);
    }
  }
}

void check_answer(const WarmupSample& sample, const Tensors& outputs, double tolerance) {
  try {
    if (sample.expected.empty()) check_finite(outputs, sample.origin);
    check_equal(outputs, sample.expected, tolerance);
  } catch (const Error& error) {
    throw about_sample(sample, error);
  }
}

Error about_sample(const WarmupSample& sample, const Error& error) {
  return Error(error.code(), fmt::format("warm-up, {}: {}", sample.from, error.message()));
}

void pass_over(const WarmupSample& sample, const Error& error, std::string_view servable) {
  if (sample.origin == SampleOrigin::kGiven || error.code() == Code::kCancelled)
    throw about_sample(sample, error);
  log().warn("{}: warm-up goes on without {}: {}", servable, sample.from, error.message());
}

}  // namespace baozi::model
