// Greedy CTC decoding of a text recogniser's output (PP-OCR's rules, as in rapidocr's
// ch_ppocr_rec/utils.py): the best class of every step, repeats merged, blanks dropped.
//
// Thread safety: CtcDictionary is immutable once built; the functions are pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "baozi/base/tensor.h"

namespace baozi::pipeline {

// Class 0 is the blank, class i is line i of the dictionary (from 1), the last class is a space.
class CtcDictionary {
 public:
  // One character (or several) a line, LF or CRLF; PP-OCR keeps it in the model's metadata under
  // "character". Throws Error kInvalidArgument when there is no line.
  explicit CtcDictionary(std::string_view lines);

  std::size_t classes() const noexcept { return characters_.size(); }
  std::string_view operator[](std::size_t index) const noexcept { return characters_[index]; }

 private:
  std::vector<std::string> characters_;  // [0] is "", the blank
};

struct RecognisedText {
  std::string text;
  float score = 0;  // mean probability of the steps that gave a character; 0 for an empty text
};

// `probabilities` f32 [N,T,C] to N texts.
// Throws Error kInvalidArgument when it is not that or C is not the dictionary's, kInternal when a
// value is not finite.
std::vector<RecognisedText> ctc_decode(const Tensor& probabilities,
                                       const CtcDictionary& dictionary);

}  // namespace baozi::pipeline
