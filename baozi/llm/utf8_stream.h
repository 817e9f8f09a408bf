// Utf8Stream: text that arrives as tokens, which may end in the middle of a character, given on in
// whole characters.
//
//   text += stream.add(model.piece(token, false));   …   text += stream.finish();
//
// Thread safety: none.
#pragma once

#include <string>
#include <string_view>

namespace baozi::llm {

class Utf8Stream {
 public:
  // What can be given on now: whole, valid characters. Bytes that can never become one are given as
  // U+FFFD.
  std::string add(std::string_view bytes);
  // The rest, at the end: a character that was cut off is given as U+FFFD.
  std::string finish();

 private:
  std::string pending_;  // the beginning of a character
};

}  // namespace baozi::llm
