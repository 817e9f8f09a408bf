// Whether what a model answered to a warm-up sample is right.
//
//   check_answer(sample, outputs, 1e-3);
//
// Thread safety: free functions.
// Errors: Error kFailedPrecondition that names the output, the element and what was found.
#pragma once

#include <string_view>

#include "baozi/base/error.h"
#include "baozi/base/tensor.h"
#include "baozi/model/warmup_sample.h"

namespace baozi::model {

// Throws for a value that is no number, whatever the sample. Infinities are refused too, unless the
// sample was synthesised: noise may well have a probability of 0, whose logarithm is one.
void check_finite(const Tensors& outputs, SampleOrigin origin);

// Throws unless every expected output is there with the type and shape expected, and every element
// with the value: floating-point numbers within tolerance * max(1, |expected|), and a NaN or an
// infinity where one is expected; all others exactly.
void check_equal(const Tensors& outputs, const Tensors& expected, double tolerance);

// Both of the above as one, with the sample's name in front of the message. Where it is known what
// comes, an infinity may be it.
void check_answer(const WarmupSample& sample, const Tensors& outputs, double tolerance);

// The error of a sample that was not answered, with the sample's name in front.
Error about_sample(const WarmupSample& sample, const Error& error);
// The model did not answer: throws unless that can be passed over, with a warning about
// `servable`'s warm-up.
void pass_over(const WarmupSample& sample, const Error& error, std::string_view servable);

}  // namespace baozi::model
