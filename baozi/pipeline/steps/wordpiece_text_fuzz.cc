// Feeds bytes to the tokenizer as a text: ids within the limit and the vocabulary, or Error
// kInvalidArgument.
#include <cstdint>
#include <cstdlib>

#include "baozi/base/error.h"
#include "baozi/pipeline/steps/wordpiece.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace baozi;
  using namespace baozi::pipeline;
  static const Wordpiece tokenizer = Wordpiece::from_vocab(
      "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n##a\nab\n##ab\n##c\ne\n##e\n.\n,\nhello\n中\nи\n##"
      "и\n");
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const std::size_t tokens_max : {std::size_t{2}, std::size_t{16}, std::size_t{1} << 20}) {
    try {
      const auto ids = tokenizer.encode(text, {.tokens_max = tokens_max});
      if (ids.size() < 2 || ids.size() > tokens_max) std::abort();
      for (const std::int64_t id : ids) {
        if (id < 0 || static_cast<std::size_t>(id) >= tokenizer.vocabulary_size()) std::abort();
      }
    } catch (const Error& error) {
      if (error.code() != Code::kInvalidArgument) std::abort();
    }
  }
  return 0;
}
