// ocr: the text in images. Finds the boxes with text, then reads all boxes of a page at the same
// time: each is cropped, turned when it lies upside down, and recognised together with whatever
// other boxes wait for the recogniser, of this page or another request's. The lines come out in
// reading order.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <optional>
#include <utility>

#include "baozi/base/error.h"
#include "baozi/base/log.h"
#include "baozi/coro/semaphore.h"
#include "baozi/coro/when_all.h"
#include "baozi/pipeline/builtin/builtin.h"
#include "baozi/pipeline/builtin/elements.h"
#include "baozi/pipeline/builtin/model_files.h"
#include "baozi/pipeline/builtin/ocr_lines.h"
#include "baozi/pipeline/steps/ctc_decode.h"
#include "baozi/pipeline/steps/ocr_input.h"
#include "baozi/pipeline/steps/text_boxes.h"

namespace baozi::pipeline {
namespace {

constexpr std::size_t kPagesAtOnce = 4;
constexpr float kSureScore =
    0.8f;                       // of a line that was turned; one of these is not read a second time
constexpr int kUpsideDown = 3;  // the EXIF orientation that a turn by 180° undoes

struct Ocr {
  PipelineContext context;
  std::string detect, orient, recognise;  // models; no `orient`: lines are never turned
  CtcDictionary dictionary;
  TextBoxOptions boxes;
  float orient_threshold = 0.9f;
  float text_score = 0.5f;
  bool skip_failed = false;
};
using Self = std::shared_ptr<const Ocr>;

// What the tasks of one request share.
struct Reading {
  int priority = 0;
  Semaphore pages{kPagesAtOnce};
  Semaphore boxes{kElementsAtOnce};
  std::atomic<std::int64_t> skipped{0};
  std::shared_ptr<Voices> voices = std::make_shared<Voices>();
};
using SharedReading = std::shared_ptr<Reading>;

// Whether the request should end: nothing is wrong with the one box, so leaving it out would hide
// what happened.
bool concerns_all_boxes(Code code) {
  return code == Code::kCancelled || code == Code::kDeadlineExceeded ||
         code == Code::kResourceExhausted || code == Code::kUnavailable || code == Code::kNotFound;
}

Task<std::vector<TextBox>> find_boxes(Self self, Image page, SharedReading reading) {
  const Context& context = co_await this_context();
  const Size size = detector_size(page.size());
  Tensor input = Tensor::allocate(DType::kFp32, {1, 3, size.height, size.width});
  {
    const StageScope stage(context.trace, "resize");
    detector_input(page, size, input.mutable_values<float>());
  }
  const StageScope stage(context.trace, "detect");
  const Tensor map = co_await infer_on(self->context.model(self->detect), std::move(input),
                                       reading->priority, reading->voices);
  co_return text_boxes(map, page.size(), self->boxes);
}

Task<bool> lies_upside_down(Self self, Image crop, SharedReading reading) {
  if (self->orient.empty()) co_return false;
  const Context& context = co_await this_context();
  const StageScope stage(context.trace, "orient");
  Tensor input =
      Tensor::allocate(DType::kFp32, {1, 3, kClassifierSize.height, kClassifierSize.width});
  classifier_input(crop, input.mutable_values<float>());
  const Tensor scores = co_await infer_on(self->context.model(self->orient), std::move(input),
                                          reading->priority, reading->voices);
  co_return upside_down_score(scores) > self->orient_threshold;
}

Task<RecognisedText> recognise_line(Self self, Image crop, SharedReading reading) {
  const Context& context = co_await this_context();
  const StageScope stage(context.trace, "recognise");
  const int width = recogniser_bucket(crop.size());
  Tensor input = Tensor::allocate(DType::kFp32, {1, 3, kRecogniserHeight, width});
  recogniser_input(crop, width, input.mutable_values<float>());
  const Tensor steps = co_await infer_on(self->context.model(self->recognise), std::move(input),
                                         reading->priority, reading->voices);
  std::vector<RecognisedText> lines = ctc_decode(steps, self->dictionary);
  if (lines.size() != 1) {
    throw Error(Code::kInternal,
                fmt::format("model '{}' gave {} lines for one", self->recognise, lines.size()));
  }
  co_return std::move(lines.front());
}

Task<RecognisedText> read_box(Self self, Image page, TextBox box, SharedReading reading) {
  const Context& context = co_await this_context();
  // Throws when the request was cancelled: this is where boxes that have not begun are stopped.
  const Semaphore::Permit turn = co_await reading->boxes.acquire();
  Image crop;
  {
    const StageScope stage(context.trace, "crop");
    crop = crop_box(page, box);
  }
  const bool upside_down = co_await lies_upside_down(self, crop, reading);
  const Image upright = upside_down ? turn_upright(crop, kUpsideDown) : crop;
  RecognisedText text = co_await recognise_line(self, upright, reading);
  if (!upside_down || text.score >= kSureScore) co_return text;
  // The orientation model errs on blurred lines: what reads badly when turned is read as it was.
  RecognisedText as_it_was = co_await recognise_line(self, std::move(crop), reading);
  co_return as_it_was.score > text.score ? as_it_was : text;
}

// Empty when the box failed and the pipeline's option is to go on without it.
Task<std::optional<RecognisedText>> try_box(Self self, Image page, TextBox box,
                                            SharedReading reading) {
  try {
    RecognisedText text = co_await read_box(self, std::move(page), box, reading);
    co_return text;
  } catch (const Error& error) {
    if (!self->skip_failed || concerns_all_boxes(error.code())) throw;
    reading->skipped.fetch_add(1, std::memory_order_relaxed);
    log().warn("pipeline '{}' skips a box: {}", self->context.name, error.message());
  }
  co_return std::nullopt;
}

Task<std::vector<Line>> read_page(Self self, Bytes file, std::size_t index, SharedReading reading) {
  const Context& context = co_await this_context();
  const Semaphore::Permit turn = co_await reading->pages.acquire();
  Image page;
  int margin = 0;
  {
    const StageScope stage(context.trace, "decode");
    page = decode_element(file, index);
    margin = detector_padding(page.size());
    page = pad_rows(page, margin);
  }
  const std::vector<TextBox> boxes = co_await find_boxes(self, page, reading);
  std::vector<Task<std::optional<RecognisedText>>> tasks;
  for (const TextBox& box : boxes) tasks.push_back(try_box(self, page, box, reading));
  std::vector<std::optional<RecognisedText>> texts = co_await when_all(std::move(tasks));

  const StageScope stage(context.trace, "assemble");
  const Size size{page.height() - 2 * margin, page.width()};
  std::vector<Line> lines;
  for (std::size_t i = 0; i < boxes.size(); ++i) {
    if (!texts[i] || texts[i]->text.empty() || texts[i]->score < self->text_score) continue;
    lines.push_back({std::move(*texts[i]), without_margin(boxes[i], margin, size), index});
  }
  co_return lines;
}

Task<model::InferResponse> read(Self self, model::InferRequest request) {
  auto reading = std::make_shared<Reading>();
  reading->priority = request.priority;
  std::vector<Task<std::vector<Line>>> tasks;
  for (Bytes& file : elements_of(request.inputs, "image")) {
    tasks.push_back(read_page(self, std::move(file), tasks.size(), reading));
  }
  const std::vector<std::vector<Line>> pages = co_await when_all(std::move(tasks));
  model::InferResponse response;
  response.outputs = line_tensors(pages);
  reading->voices->say_in(response);
  if (self->skip_failed)
    response.parameters["skipped"] = reading->skipped.load(std::memory_order_relaxed);
  co_return response;
}

float fraction_option(const PipelineContext& context, const std::string& key, float fallback) {
  const double value = context.option(key, static_cast<double>(fallback));
  if (value >= 0 && value <= 1) return static_cast<float>(value);
  throw Error(Code::kInvalidArgument,
              fmt::format("option '{}' of pipeline '{}' is {}, but 0 to 1 is wanted", key,
                          context.name, value));
}

TextBoxOptions box_options(const PipelineContext& context) {
  TextBoxOptions boxes;
  boxes.threshold = fraction_option(context, "pixel_threshold", 0.3f);
  boxes.box_threshold = fraction_option(context, "box_threshold", 0.3f);
  const int most = context.option("boxes_max", static_cast<int>(boxes.boxes_max));
  if (most < 1) {
    throw Error(Code::kInvalidArgument,
                fmt::format("option 'boxes_max' of pipeline '{}' is {}, but 1 or more is wanted",
                            context.name, most));
  }
  boxes.boxes_max = static_cast<std::size_t>(most);
  return boxes;
}

CtcDictionary load_dictionary(const PipelineContext& context, const model::Servable& model) {
  std::filesystem::path file = path_option(context, "dictionary");
  const auto& metadata = model.origin().metadata;
  const auto characters = metadata.find("character");  // where PP-OCR's exporters put it
  if (file.empty() && characters != metadata.end()) return CtcDictionary(characters->second);
  if (file.empty()) file = find_beside(model, {"dict.txt"});
  if (!file.empty()) return CtcDictionary(without_last_space(read_text(file)));
  throw Error(Code::kNotFound,
              fmt::format("pipeline '{}' found no dictionary: model '{}' has none in its metadata "
                          "('character') and no "
                          "dict.txt beside it; name one with the option 'dictionary'",
                          context.name, model.name()));
}

}  // namespace

std::shared_ptr<model::Servable> make_ocr(PipelineContext context) {
  context.check_options({"detect", "orient", "recognise", "dictionary", "pixel_threshold",
                         "box_threshold", "boxes_max", "orient_threshold", "text_score",
                         "skip_failed"});
  PipelineSpec spec{.signature = {.inputs = {{"image", DType::kBytes, {-1}}},
                                  .outputs = {{"text", DType::kBytes, {-1}},
                                              {"score", DType::kFp32, {-1}},
                                              {"box", DType::kFp32, {-1, 4, 2}},
                                              {"image", DType::kInt64, {-1}}}},
                    .samples = sample_images()};
  const std::string recognise = required_model(context, "recognise");
  auto self = std::make_shared<Ocr>(
      Ocr{.context = context,
          .detect = required_model(context, "detect"),
          .orient = context.option("orient", ""),
          .recognise = recognise,
          .dictionary = load_dictionary(context, *context.model(recognise)),
          .boxes = box_options(context),
          .orient_threshold = fraction_option(context, "orient_threshold", 0.9f),
          .text_score = fraction_option(context, "text_score", 0.5f),
          .skip_failed = context.option("skip_failed", false)});
  for (const std::string& name : {self->detect, self->orient, self->recognise}) {
    if (name.empty()) continue;
    check_image_model(context, *context.model(name), 4);
    spec.models.push_back(name);
  }
  return make_pipeline(std::move(context), std::move(spec), Self(std::move(self)), &read);
}

}  // namespace baozi::pipeline
