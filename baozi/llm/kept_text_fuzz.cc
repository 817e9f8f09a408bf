// Bytes as what is kept of a request for text: they are taken or not; what is taken comes out again
// as the same values.
#include "baozi/llm/kept_text.h"

#include <cstdint>
#include <cstdlib>
#include <span>

namespace {

using namespace baozi;

bool same(const llm::KeptText& a, const llm::KeptText& b) {
  if (a.answers != b.answers || a.echoes != b.echoes || a.pieces != b.pieces ||
      a.replies.size() != b.replies.size())
    return false;
  for (std::size_t i = 0; i < a.replies.size(); ++i) {
    const engine::ChatReply& x = a.replies[i].reply;
    const engine::ChatReply& y = b.replies[i].reply;
    if (a.replies[i].of != b.replies[i].of || x.content != y.content ||
        x.reasoning != y.reasoning || x.tool_calls.size() != y.tool_calls.size())
      return false;
    for (std::size_t k = 0; k < x.tool_calls.size(); ++k) {
      if (x.tool_calls[k].id != y.tool_calls[k].id ||
          x.tool_calls[k].name != y.tool_calls[k].name ||
          x.tool_calls[k].arguments != y.tool_calls[k].arguments)
        return false;
    }
  }
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes all = Bytes::copy_of(std::span(reinterpret_cast<const std::byte*>(data), size));
  const auto kept = llm::decode_kept_text(all);
  if (!kept) return 0;
  const auto again = llm::decode_kept_text(llm::encode_kept_text(*kept, 0));
  if (!again || !same(*kept, *again)) std::abort();
  return 0;
}
