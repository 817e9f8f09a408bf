// A pipeline of your own as a plug-in: what is on a picture, in words.
//
// It asks one served pipeline (classify) and, only when that one is not sure, another (ocr): a
// decision in the middle of a request, written as an `if`. Both may be replaced by models of yours;
// each is batched with whoever else asks it.
//
//   image BYTES [1]  →  description BYTES [1], by BYTES [1] ("classify", "ocr" or "nobody")
#include <baozi/pipeline/plugin.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace baozi;

struct Describe {
  pipeline::PipelineContext context;
  std::string classify, ocr;
  double sure = 0.5;
};

Tensors answer(const std::string& description, std::string_view by) {
  return {{"description", Tensor::of_strings({1}, {description})},
          {"by", Tensor::of_strings({1}, {by})}};
}

Task<Tensors> describe(std::shared_ptr<const Describe> self, Tensors inputs) {
  const Tensors classes = co_await pipeline::infer_on(self->context.model(self->classify), inputs);
  const double score = get_tensor(classes, "score").values<float>().front();
  if (score >= self->sure) {
    const auto labels = get_tensor(classes, "label").strings();
    co_return answer(fmt::format("a picture of: {}", labels.front()), "classify");
  }
  const Tensors lines =
      co_await pipeline::infer_on(self->context.model(self->ocr), std::move(inputs));
  const std::vector<std::string_view> texts = get_tensor(lines, "text").strings();
  if (texts.empty()) co_return answer("a picture of something else", "nobody");
  co_return answer(fmt::format("a text: {}", fmt::join(texts, " ")), "ocr");
}

std::shared_ptr<model::Servable> make_describe(pipeline::PipelineContext context) {
  context.check_options({"classify", "ocr", "sure"});
  auto self =
      std::make_shared<Describe>(Describe{.context = context,
                                          .classify = context.option("classify", "classify"),
                                          .ocr = context.option("ocr", "ocr"),
                                          .sure = context.option("sure", 0.5)});
  const engine::Signature signature{
      .inputs = {{"image", DType::kBytes, {1}}},
      .outputs = {{"description", DType::kBytes, {1}}, {"by", DType::kBytes, {1}}}};
  const std::vector<std::string> models{self->classify, self->ocr};
  return pipeline::make_pipeline(std::move(context), {.signature = signature, .models = models},
                                 std::shared_ptr<const Describe>(std::move(self)), &describe);
}

}  // namespace

BAOZI_PLUGIN(registry) { registry.add("describe", &make_describe); }
