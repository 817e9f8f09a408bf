// Token embeddings into one sentence embedding: the mean over the tokens that the attention mask
// lets through. As sentence-transformers does it (models/Pooling.py, "mean", then Normalize).
//
// Thread safety: pure functions.
#pragma once

#include "baozi/base/tensor.h"

namespace baozi::pipeline {

struct MeanPoolOptions {
  bool l2_normalise = true;  // to unit length; a zero vector stays zero
};

// `hidden` f32 [N,S,D] and `mask` i64 [N,S] (0: padding, else: counts) become f32 [N,D]. A row
// whose mask is all 0 is 0. Throws Error kInvalidArgument when types or shapes do not fit,
// kInternal when a result is not finite.
Tensor mean_pool(const Tensor& hidden, const Tensor& mask, const MeanPoolOptions& options = {},
                 Allocator& allocator = heap_allocator());

}  // namespace baozi::pipeline
