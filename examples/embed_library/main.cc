// A program of your own with baozi inside: it serves a pipeline that is part of the program.
//
//   similarity MODEL PORT       MODEL is a folder with a sentence transformer: 1/model.onnx and
//                               its vocab.txt
//
//   text BYTES [N]  →  similarity FP32 [N,N], the cosine of each pair
//
//   curl localhost:8000/v2/models/similarity/infer -d '{"inputs": [
//     {"name": "text", "shape": [2], "datatype": "BYTES", "data": ["a bun", "a bread roll"]}]}'
#include <baozi/base/error.h>
#include <baozi/pipeline/pipeline.h>
#include <baozi/serve/server.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <numeric>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace baozi;

struct Similarity {
  pipeline::PipelineContext context;
};

Task<Tensors> similarity(std::shared_ptr<const Similarity> self, Tensors inputs) {
  const Tensors embedded =
      co_await pipeline::infer_on(self->context.model("embed"), std::move(inputs));
  const Tensor& rows = get_tensor(embedded, "embedding");
  const std::int64_t count = rows.shape()[0];
  const auto width = static_cast<std::size_t>(rows.shape()[1]);
  const auto row = [&](std::int64_t i) {
    return rows.values<float>().subspan(static_cast<std::size_t>(i) * width, width);
  };
  std::vector<float> cosines;
  for (std::int64_t a = 0; a < count; ++a) {
    for (std::int64_t b = 0; b < count; ++b) {
      cosines.push_back(std::inner_product(row(a).begin(), row(a).end(), row(b).begin(), 0.0f));
    }
  }
  co_return Tensors{{"similarity", Tensor::of<float>({count, count}, cosines)}};
}

std::shared_ptr<model::Servable> make_similarity(pipeline::PipelineContext context) {
  const engine::Signature signature{.inputs = {{"text", DType::kBytes, {-1}}},
                                    .outputs = {{"similarity", DType::kFp32, {-1, -1}}}};
  auto self = std::make_shared<const Similarity>(Similarity{context});
  return pipeline::make_pipeline(std::move(context), {.signature = signature, .models = {"embed"}},
                                 std::move(self), &similarity);
}

int run(const std::string& model, std::uint16_t port) {
  serve::Config config;
  config.http.port = port;
  config.models.push_back({.name = "transformer", .path = model});
  config.models.back().pad = {{"input_ids", 0}, {"attention_mask", 0}, {"token_type_ids", 0}};
  config.pipelines.push_back(
      {.name = "embed", .type = "embed", .options = {{"model", "transformer"}}});
  config.pipelines.push_back({.name = "similarity", .type = "similarity", .options = {}});
  serve::Server server(std::move(config));
  server.pipelines().add("similarity", &make_similarity);
  return server.run();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: %s MODEL PORT\n", argv[0]);
    return 2;
  }
  try {
    return run(argv[1], static_cast<std::uint16_t>(std::atoi(argv[2])));
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.describe().c_str());
    return 1;
  }
}
