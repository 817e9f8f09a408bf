// Bytes as a kept answer: they are taken or not; what is taken comes out again as the same bytes.
#include <cstdint>
#include <cstdlib>
#include <span>

#include "baozi/llm/cached_answer.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using baozi::Bytes;
  const Bytes all = Bytes::copy_of(std::span(reinterpret_cast<const std::byte*>(data), size));
  const auto answer = baozi::llm::decode_answer(all);
  if (answer && baozi::llm::encode_answer(*answer, 0).text() != all.text()) std::abort();
  return 0;
}
