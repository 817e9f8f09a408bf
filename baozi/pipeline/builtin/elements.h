// What the built-in pipelines share: the elements of a request's input, and how many of them are
// worked on at once.
//
// Thread safety: pure functions.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "baozi/base/tensor.h"
#include "baozi/pipeline/steps/image_decode.h"

namespace baozi::pipeline {

// Of one request: enough to fill batches, few enough that one large request neither fills a model's
// queue nor the memory.
inline constexpr std::size_t kElementsAtOnce = 32;

// The elements of the BYTES tensor `name`, sharing its memory: each task owns what it works on.
// Throws Error kInvalidArgument when the input is missing or has no element.
std::vector<Bytes> elements_of(const Tensors& inputs, std::string_view name);

// decode_image, naming the element in its error.
Image decode_element(const Bytes& file, std::size_t index, int side_min = 0);

// What pipelines of images, and of texts, are warmed up with: one element, and several of them in
// one request.
std::vector<Tensors> sample_images();
std::vector<Tensors> sample_texts();

// `text` of the error that element `index` of the request got.
std::string about_element(std::string_view what, std::size_t index, std::string_view text);

}  // namespace baozi::pipeline
