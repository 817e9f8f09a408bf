// A plug-in as a user would write it: negates a tensor.
#include "baozi/pipeline/plugin.h"

using namespace baozi;            // NOLINT
using namespace baozi::pipeline;  // NOLINT

namespace {

struct Negate {};

Task<Tensors> negate(std::shared_ptr<const Negate>, Tensors inputs) {
  const Tensor& x = get_tensor(inputs, "x");
  Tensor y = Tensor::allocate(DType::kFp32, x.shape());
  const auto from = x.values<float>();
  const auto to = y.mutable_values<float>();
  for (std::size_t i = 0; i < from.size(); ++i) to[i] = -from[i];
  Tensors outputs;
  outputs.push_back({"y", std::move(y)});
  co_return std::move(outputs);
}

std::shared_ptr<model::Servable> make_negate(PipelineContext context) {
  PipelineSpec spec;
  spec.signature.inputs.push_back({"x", DType::kFp32, {-1}, {"n"}});
  spec.signature.outputs.push_back({"y", DType::kFp32, {-1}, {"n"}});
  return make_pipeline(std::move(context), std::move(spec), std::make_shared<Negate>(), &negate);
}

}  // namespace

BAOZI_PLUGIN(registry) { registry.add("negate", &make_negate); }
