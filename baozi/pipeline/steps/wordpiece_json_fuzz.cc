// Feeds bytes to the reader of tokenizer.json and to that of vocab.txt; what loads must tokenise.
#include <cstdint>
#include <cstdlib>

#include "baozi/base/error.h"
#include "baozi/pipeline/steps/wordpiece.h"

namespace {

template <class Load>
void check(Load load, std::string_view text) {
  using namespace baozi;
  try {
    const pipeline::Wordpiece tokenizer = load(text);
    if (tokenizer.encode("Hello, [SEP] wörld 中", {.tokens_max = 8}).size() > 8) std::abort();
  } catch (const Error& error) {
    if (error.code() != Code::kInvalidArgument && error.code() != Code::kUnimplemented)
      std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using baozi::pipeline::Wordpiece;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check([](std::string_view json) { return Wordpiece::from_json(json); }, text);
  check([](std::string_view vocab) { return Wordpiece::from_vocab(vocab); }, text);
  return 0;
}
