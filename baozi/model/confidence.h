// Confidence: how sure a classifier is of its answer, as its probabilities say.
//
//   double sure = confidence_of(scores, {.rows = true, .logits = true});
//
// Thread safety: free functions.
#pragma once

#include "baozi/base/tensor.h"

namespace baozi::model {

struct ScoreForm {
  bool rows = true;     // dimension 0 counts the rows of a batch; false: all of it is one row
  bool logits = false;  // softmax makes probabilities of them
};

// Whether scores can be of this type.
bool may_be_scores(DType dtype) noexcept;

// The highest probability of the row that is least sure; 1 without any row, 0 when one is no
// number. Errors: kFailedPrecondition for another type, and for values outside [0, 1] that are not
// said to be logits.
double confidence_of(const Tensor& scores, ScoreForm form);

}  // namespace baozi::model
