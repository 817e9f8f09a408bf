// classify: what is in an image. Decode and resize on the CPU pool, one model behind its batcher,
// the k best classes.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <utility>

#include "baozi/base/error.h"
#include "baozi/coro/semaphore.h"
#include "baozi/coro/when_all.h"
#include "baozi/pipeline/builtin/builtin.h"
#include "baozi/pipeline/builtin/classifier_input.h"
#include "baozi/pipeline/builtin/elements.h"
#include "baozi/pipeline/builtin/model_files.h"
#include "baozi/pipeline/steps/top_k.h"

namespace baozi::pipeline {
namespace {

enum class Softmax : std::uint8_t { kAuto, kYes, kNo };

struct Classify {
  PipelineContext context;
  std::string model;
  ClassifierInput input;
  std::vector<std::string> labels;
  std::size_t top_k = 5;
  Softmax softmax = Softmax::kAuto;
};
using Self = std::shared_ptr<const Classify>;
using Ranking = std::vector<RankedClass>;

// Whether these are probabilities already. Logits that sum to one and have none below zero do not
// occur in practice.
bool are_probabilities(std::span<const float> scores) {
  constexpr double kTolerance = 0.01;
  const bool in_range =
      std::ranges::all_of(scores, [](float score) { return score >= 0 && score <= 1.001f; });
  return in_range && std::abs(std::accumulate(scores.begin(), scores.end(), 0.0) - 1) < kTolerance;
}

Ranking rank(const Classify& self, const Tensor& output) {
  const std::span<const float> scores = output.values<float>();
  if (scores.empty())
    throw Error(Code::kInternal, fmt::format("model '{}' gave no scores", self.model));
  const bool softmax =
      self.softmax == Softmax::kAuto ? !are_probabilities(scores) : self.softmax == Softmax::kYes;
  return top_k(scores, self.labels, {.k = self.top_k, .softmax = softmax}, self.model);
}

Task<Ranking> classify_one(Self self, Bytes file, std::size_t index,
                           std::shared_ptr<Semaphore> turns, int priority,
                           std::shared_ptr<Voices> voices) {
  const Context& context = co_await this_context();
  const Semaphore::Permit turn = co_await turns->acquire();
  Image image;
  {
    const StageScope stage(context.trace, "decode");
    image = decode_element(file, index, self->input.side_min());
  }
  Tensor input;
  {
    const StageScope stage(context.trace, "resize");
    input = self->input.prepare(image);
  }
  Tensor scores =
      co_await infer_on(self->context.model(self->model), std::move(input), priority, voices);
  const StageScope stage(context.trace, "rank");
  co_return rank(*self, scores);
}

Tensors to_tensors(const std::vector<Ranking>& rankings) {
  const Shape shape{static_cast<std::int64_t>(rankings.size()),
                    static_cast<std::int64_t>(rankings.front().size())};
  std::vector<std::string_view> labels;
  std::vector<float> scores;
  std::vector<std::int64_t> classes;
  for (const Ranking& ranking : rankings) {
    for (const RankedClass& ranked : ranking) {
      labels.push_back(ranked.label);
      scores.push_back(ranked.score);
      classes.push_back(static_cast<std::int64_t>(ranked.index));
    }
  }
  return {{"label", Tensor::of_strings(shape, labels)},
          {"score", Tensor::of<float>(shape, scores)},
          {"class", Tensor::of<std::int64_t>(shape, classes)}};
}

Task<model::InferResponse> classify(Self self, model::InferRequest request) {
  auto turns = std::make_shared<Semaphore>(kElementsAtOnce);
  auto voices = std::make_shared<Voices>();
  std::vector<Task<Ranking>> images;
  for (Bytes& file : elements_of(request.inputs, "image")) {
    images.push_back(
        classify_one(self, std::move(file), images.size(), turns, request.priority, voices));
  }
  const std::vector<Ranking> rankings = co_await when_all(std::move(images));
  model::InferResponse response;
  response.outputs = to_tensors(rankings);
  voices->say_in(response);
  co_return response;
}

Softmax softmax_option(const PipelineContext& context) {
  if (context.option("softmax", "auto") == "auto") return Softmax::kAuto;
  return context.option("softmax", false) ? Softmax::kYes : Softmax::kNo;
}

}  // namespace

std::shared_ptr<model::Servable> make_classify(PipelineContext context) {
  context.check_options({"model", "labels", "top_k", "softmax", "size", "fit", "crop_fraction",
                         "interpolation", "mean", "std", "channels"});
  auto self = std::make_shared<Classify>();
  self->context = context;
  self->model = required_model(context, "model");
  const std::shared_ptr<model::Servable> model = context.model(self->model);
  check_image_model(context, *model, 4);
  self->input = ClassifierInput::from(context, model->signature().inputs.front());
  const std::filesystem::path labels = path_option(context, "labels");
  self->labels = labels.empty() ? model->labels() : read_lines(labels);
  const int k = context.option("top_k", 5);
  if (k < 1) {
    throw Error(Code::kInvalidArgument,
                fmt::format("option 'top_k' of pipeline '{}' is {}, but 1 or more is wanted",
                            context.name, k));
  }
  self->top_k = static_cast<std::size_t>(k);
  self->softmax = softmax_option(context);
  PipelineSpec spec{.signature = {.inputs = {{"image", DType::kBytes, {-1}}},
                                  .outputs = {{"label", DType::kBytes, {-1, -1}},
                                              {"score", DType::kFp32, {-1, -1}},
                                              {"class", DType::kInt64, {-1, -1}}}},
                    .models = {self->model},
                    .samples = sample_images()};
  return make_pipeline(std::move(context), std::move(spec), Self(std::move(self)), &classify);
}

}  // namespace baozi::pipeline
