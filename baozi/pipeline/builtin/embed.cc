// embed: texts to vectors whose dot products say how alike they are. Tokenise on the CPU pool, a
// transformer behind its batcher (each text goes alone, so that texts of like length share a batch
// whatever request they come from), mean over the tokens.
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>
#include <utility>

#include "baozi/base/error.h"
#include "baozi/coro/semaphore.h"
#include "baozi/coro/when_all.h"
#include "baozi/pipeline/builtin/builtin.h"
#include "baozi/pipeline/builtin/elements.h"
#include "baozi/pipeline/builtin/model_files.h"
#include "baozi/pipeline/steps/mean_pool.h"
#include "baozi/pipeline/steps/wordpiece.h"

namespace baozi::pipeline {
namespace {

constexpr const char* kIds = "input_ids";
constexpr const char* kMask = "attention_mask";
constexpr const char* kTypes = "token_type_ids";
constexpr int kTokensMin = 3;  // two special ones and one of the text

struct Embed {
  PipelineContext context;
  std::string model;
  std::string output;
  bool with_types = false;
  Wordpiece tokenizer;
  EncodeOptions encode;
  MeanPoolOptions pool;
};
using Self = std::shared_ptr<const Embed>;

Tensors tokenise(const Embed& self, const Bytes& text, std::size_t index) {
  std::vector<std::int64_t> ids;
  try {
    ids = self.tokenizer.encode(text.text(), self.encode);
  } catch (const Error& error) {
    throw Error(error.code(), about_element("text", index, error.message()));
  }
  const Shape shape{1, static_cast<std::int64_t>(ids.size())};
  const std::vector<std::int64_t> ones(ids.size(), 1);
  Tensors inputs{{kIds, Tensor::of<std::int64_t>(shape, ids)},
                 {kMask, Tensor::of<std::int64_t>(shape, ones)}};
  if (self.with_types) {
    const std::vector<std::int64_t> zeros(ids.size(), 0);
    inputs.push_back({kTypes, Tensor::of<std::int64_t>(shape, zeros)});
  }
  return inputs;
}

// f32 [1,D] of the model's [1,S,D]; S is at least `tokens`: a batch may have been padded.
Tensor pool(const Embed& self, const Tensor& hidden, std::size_t tokens) {
  const Shape& shape = hidden.shape();
  if (shape.rank() != 3 || shape[0] != 1 || shape[1] < static_cast<std::int64_t>(tokens)) {
    throw Error(Code::kInternal,
                fmt::format("output '{}' of model '{}' is {} for a text of {} tokens, not [1,S,D]",
                            self.output, self.model, to_string(shape), tokens));
  }
  std::vector<std::int64_t> mask(static_cast<std::size_t>(shape[1]), 0);
  std::fill_n(mask.begin(), tokens, 1);
  return mean_pool(hidden, Tensor::of<std::int64_t>({1, shape[1]}, mask), self.pool);
}

Task<Tensor> embed_one(Self self, Bytes text, std::size_t index, std::shared_ptr<Semaphore> turns,
                       int priority, std::shared_ptr<Voices> voices) {
  const Context& context = co_await this_context();
  const Semaphore::Permit turn = co_await turns->acquire();
  Tensors inputs;
  {
    const StageScope stage(context.trace, "tokenise");
    inputs = tokenise(*self, text, index);
  }
  const auto tokens = static_cast<std::size_t>(inputs.front().tensor.shape()[1]);
  const Tensors outputs =
      co_await infer_on(self->context.model(self->model), std::move(inputs), priority, voices);
  const StageScope stage(context.trace, "pool");
  co_return pool(*self, get_tensor(outputs, self->output), tokens);
}

Tensor stack(const std::vector<Tensor>& rows) {
  const std::size_t row_bytes = rows.front().data().size();
  Tensor stacked = Tensor::allocate(
      DType::kFp32, {static_cast<std::int64_t>(rows.size()), rows.front().shape()[1]});
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].data().size() != row_bytes) {
      throw Error(Code::kInternal, "the model's vectors differ in length from text to text");
    }
    std::memcpy(stacked.mutable_data().mutable_data() + i * row_bytes, rows[i].data().data(),
                row_bytes);
  }
  return stacked;
}

Task<model::InferResponse> embed(Self self, model::InferRequest request) {
  auto turns = std::make_shared<Semaphore>(kElementsAtOnce);
  auto voices = std::make_shared<Voices>();
  std::vector<Task<Tensor>> texts;
  for (Bytes& text : elements_of(request.inputs, "text")) {
    texts.push_back(
        embed_one(self, std::move(text), texts.size(), turns, request.priority, voices));
  }
  const std::vector<Tensor> rows = co_await when_all(std::move(texts));
  model::InferResponse response;
  response.outputs.push_back({"embedding", stack(rows)});
  voices->say_in(response);
  co_return response;
}

// Checks the model's tensors; returns the output's width, -1 when it is free.
std::int64_t check_model(Embed& self, const model::Servable& model) {
  const engine::Signature& signature = model.signature();
  const auto fits = [](const engine::TensorSpec& spec) {
    return spec.dtype == DType::kInt64 && spec.shape.rank() == 2 &&
           (spec.name == kIds || spec.name == kMask || spec.name == kTypes);
  };
  const int output = signature.output_index(self.output);
  const bool good_output =
      output >= 0 && signature.outputs[static_cast<std::size_t>(output)].dtype == DType::kFp32 &&
      signature.outputs[static_cast<std::size_t>(output)].shape.rank() == 3;
  self.with_types = signature.input_index(kTypes) >= 0;
  if (std::ranges::all_of(signature.inputs, fits) && signature.input_index(kIds) >= 0 &&
      signature.input_index(kMask) >= 0 && good_output) {
    return signature.outputs[static_cast<std::size_t>(output)].shape[2];
  }
  throw Error(Code::kInvalidArgument,
              fmt::format("pipeline '{}' wants a BERT-like model: inputs {}, {} and perhaps {}, "
                          "INT64 [N,S], and an output "
                          "'{}' FP32 [N,S,D]; see `baozi inspect` for what '{}' has",
                          self.context.name, kIds, kMask, kTypes, self.output, self.model));
}

Wordpiece load_tokenizer(const PipelineContext& context, const model::Servable& model) {
  std::filesystem::path vocabulary = path_option(context, "vocab");
  if (vocabulary.empty()) vocabulary = find_beside(model, {"tokenizer.json", "vocab.txt"});
  if (vocabulary.empty()) {
    throw Error(Code::kNotFound, fmt::format("pipeline '{}' found no tokenizer.json or vocab.txt "
                                             "beside model '{}'; name one with the "
                                             "option 'vocab'",
                                             context.name, model.name()));
  }
  return Wordpiece::from_file(vocabulary);
}

}  // namespace

std::shared_ptr<model::Servable> make_embed(PipelineContext context) {
  context.check_options({"model", "vocab", "output", "max_tokens", "normalize"});
  const std::string name = required_model(context, "model");
  const std::shared_ptr<model::Servable> model = context.model(name);
  const std::vector<engine::TensorSpec>& outputs = model->signature().outputs;
  auto self = std::make_shared<Embed>(
      Embed{.context = context,
            .model = name,
            .output = context.option("output", outputs.empty() ? "" : outputs[0].name),
            .tokenizer = load_tokenizer(context, *model),
            .encode = {},
            .pool = {.l2_normalise = context.option("normalize", true)}});
  const std::int64_t width = check_model(*self, *model);
  const int tokens = context.option("max_tokens", 256);
  if (tokens < kTokensMin) {
    throw Error(Code::kInvalidArgument,
                fmt::format("option 'max_tokens' of pipeline '{}' is {}, but {} or more is wanted",
                            context.name, tokens, kTokensMin));
  }
  self->encode.tokens_max = static_cast<std::size_t>(tokens);
  PipelineSpec spec{.signature = {.inputs = {{"text", DType::kBytes, {-1}}},
                                  .outputs = {{"embedding", DType::kFp32, {-1, width}}}},
                    .models = {name},
                    .samples = sample_texts()};
  return make_pipeline(std::move(context), std::move(spec), Self(std::move(self)), &embed);
}

}  // namespace baozi::pipeline
