// Bytes as a servable's face, as they come from Redis: they are taken or not, and what is taken is
// no larger than its bytes account for, can be held against inputs, and is the same when it is
// written and read again.
#include "baozi/model/face.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <span>
#include <vector>

#include "baozi/model/request.h"

namespace {

using baozi::Bytes;
using baozi::engine::TensorSpec;
using baozi::model::Face;

bool same(const TensorSpec& left, const TensorSpec& right) {
  return left.name == right.name && left.dtype == right.dtype && left.shape == right.shape;
}

bool same(const std::vector<TensorSpec>& left, const std::vector<TensorSpec>& right) {
  return std::ranges::equal(left, right,
                            [](const TensorSpec& a, const TensorSpec& b) { return same(a, b); });
}

void check(const Face& face, std::size_t size) {
  // A label takes the four bytes of its length at least, a tensor its name's.
  if (4 * face.labels.size() > size) std::abort();
  if (4 * (face.signature.inputs.size() + face.signature.outputs.size()) > size) std::abort();
  const baozi::Tensor number = baozi::Tensor::of<float>({1, 1}, {1});
  for (const TensorSpec& spec : face.signature.inputs) (void)baozi::engine::fits(spec, number);
  (void)face.signature.batchable();
  const Bytes written = baozi::model::encode_face(face, 0);
  const std::optional<Face> again = baozi::model::decode_face(written);
  if (!again || again->labels != face.labels ||
      !same(again->signature.inputs, face.signature.inputs) ||
      !same(again->signature.outputs, face.signature.outputs)) {
    std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes all = Bytes::copy_of(std::span(reinterpret_cast<const std::byte*>(data), size));
  if (const std::optional<Face> face = baozi::model::decode_face(all)) check(*face, size);
  return 0;
}
