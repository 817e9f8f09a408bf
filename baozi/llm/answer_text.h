// AnswerText: the text of an answer that arrives token by token: whole characters, up to the first
// stop string. What may be the beginning of a stop string is held back until it is certain not to
// be.
//
//   text += answer.add(model.piece(token, false));
//   if (answer.stopped()) …                            // text ends before the stop string
//   text += answer.finish();
//
// Thread safety: none.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "baozi/llm/utf8_stream.h"

namespace baozi::llm {

class AnswerText {
 public:
  AnswerText() = default;
  // None of them is empty.
  explicit AnswerText(std::vector<std::string> stops);

  // What is certain now. Nothing once stopped.
  std::string add(std::string_view bytes);
  // The rest, when the answer ends without a stop string.
  std::string finish();
  bool stopped() const noexcept { return stopped_; }

 private:
  std::string take(std::string text);

  std::vector<std::string> stops_;
  Utf8Stream characters_;
  std::string held_;  // ends with what may be the beginning of a stop string
  bool stopped_ = false;
};

}  // namespace baozi::llm
