#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <limits>

#include "baozi/coro/sync_wait.h"
#include "baozi/pipeline/builtin/test_servables.h"
#include "baozi/pipeline/steps/image_fixtures.h"

namespace baozi::pipeline {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::Scripted;
using testing::TestFolder;

using Options = std::map<std::string, std::string>;

class BuiltinTest : public ::testing::Test {
 protected:
  BuiltinTest() { add_builtin_pipelines(kinds_); }

  Scripted& serve(std::string name, engine::Signature signature, Scripted::Answer answer) {
    auto servable =
        std::make_shared<Scripted>(std::move(name), std::move(signature), std::move(answer));
    models_.add(servable);
    return *servable;
  }
  std::shared_ptr<model::Servable> make(const char* kind, Options options) {
    return kinds_.make(kind, {.name = kind,
                              .cpu = &cpu_,
                              .models = &models_,
                              .options = std::move(options),
                              .folder = folder_.path()});
  }
  // The message of the error that making it ends with.
  std::string refusal(const char* kind, Options options) {
    try {
      make(kind, std::move(options));
    } catch (const Error& error) {
      return error.message();
    }
    return "";
  }
  static model::InferResponse ask(model::Servable& servable, const char* input,
                                  std::vector<std::string_view> elements,
                                  const Context& context = {}) {
    model::InferRequest request;
    const Shape shape{static_cast<std::int64_t>(elements.size())};
    request.inputs.push_back({input, Tensor::of_strings(shape, elements)});
    return sync_wait(servable.infer(std::move(request)), context);
  }
  static std::string failure(model::Servable& servable, const char* input,
                             std::vector<std::string_view> elements) {
    try {
      ask(servable, input, std::move(elements));
    } catch (const Error& error) {
      return std::string(code_name(error.code())) + " " + error.message();
    }
    return "";
  }

  TestFolder folder_;
  ThreadPool cpu_{1};  // one thread: what runs first is the same in every run
  model::Repository models_;
  Registry kinds_;
};

std::string picture(std::uint8_t red, Size size = {40, 60}) {
  Image image = new_image(size);
  for (int i = 0; i < size.height * size.width; ++i) {
    image.mutable_data()[3 * i] = red;
    image.mutable_data()[3 * i + 1] = image.mutable_data()[3 * i + 2] = 0;
  }
  return fixtures::png({image.data(), static_cast<std::size_t>(size.height * size.width * 3)}, size,
                       SPNG_COLOR_TYPE_TRUECOLOR);
}

// ---- classify ----

constexpr int kSide = 8;

engine::Signature classifier_signature() {
  return {.inputs = {{"image", DType::kFp32, {-1, 3, kSide, kSide}}},
          .outputs = {{"scores", DType::kFp32, {-1, 3}}}};
}
// Class 0 grows with red; logits.
Tensors by_red(const Tensors& inputs) {
  return {
      {"scores", Tensor::of<float>({1, 3}, {inputs[0].tensor.values<float>()[0], 0.5f, -2.0f})}};
}

TEST_F(BuiltinTest, ClassifyRanksEveryImageInOrder) {
  Scripted& model =
      serve("net", classifier_signature(), &by_red).with_labels({"red", "grey", "other"});
  auto classify =
      make("classify", {{"model", "net"}, {"top_k", "2"}, {"mean", "0"}, {"std", "255"}});
  EXPECT_TRUE(classify->ready());
  const std::string red = picture(255), black = picture(0);
  const model::InferResponse response = ask(*classify, "image", {red, black, red});
  const Tensors& outputs = response.outputs;
  EXPECT_EQ(get_tensor(outputs, "label").shape(), (Shape{3, 2}));
  EXPECT_THAT(get_tensor(outputs, "label").strings(),
              ElementsAre("red", "grey", "grey", "red", "red", "grey"));
  EXPECT_THAT(get_tensor(outputs, "class").values<std::int64_t>(), ElementsAre(0, 1, 1, 0, 0, 1));
  // softmax(1, 0.5, -2): the logits were recognised as such.
  EXPECT_NEAR(get_tensor(outputs, "score").values<float>()[0], 0.6044f, 1e-3);
  EXPECT_EQ(model.runs, 3);
}

TEST_F(BuiltinTest, ClassifyLeavesProbabilitiesAlone) {
  serve("net", classifier_signature(), [](const Tensors&) {
    return Tensors{{"scores", Tensor::of<float>({1, 3}, {0.7f, 0.2f, 0.1f})}};
  });
  const std::string image = picture(9);
  const auto best = [&](const char* softmax) {
    auto classify = make("classify", {{"model", "net"}, {"softmax", softmax}});
    return get_tensor(ask(*classify, "image", {image}).outputs, "score").values<float>()[0];
  };
  EXPECT_FLOAT_EQ(best("auto"), 0.7f);
  EXPECT_FLOAT_EQ(best("false"), 0.7f);
  EXPECT_NEAR(best("true"), 0.4640f, 1e-3);
}

TEST_F(BuiltinTest, ClassifyFeedsPixelsLastWhereTheModelWantsThem) {
  engine::Signature signature = classifier_signature();
  signature.inputs[0].shape = {-1, kSide, kSide, 3};
  std::vector<float> first;
  serve("net", signature, [&](const Tensors& inputs) {
    const std::span<const float> pixels = inputs[0].tensor.values<float>();
    first.assign(pixels.begin(), pixels.begin() + 6);
    return Tensors{{"scores", Tensor::of<float>({1, 3}, {1, 2, 3})}};
  });
  auto classify =
      make("classify", {{"model", "net"}, {"mean", "0"}, {"std", "1"}, {"channels", "bgr"}});
  const std::string image = picture(200);
  ask(*classify, "image", {image});
  EXPECT_THAT(first, ElementsAre(0, 0, 200, 0, 0, 200));
}

TEST_F(BuiltinTest, ClassifyNamesTheBadImageOfABatch) {
  Scripted& model = serve("net", classifier_signature(), &by_red);
  auto classify = make("classify", {{"model", "net"}});
  const std::string good = picture(255);
  const std::string cut = good.substr(0, good.size() / 2);
  EXPECT_THAT(failure(*classify, "image", {good, "not an image", good}),
              HasSubstr("INVALID_ARGUMENT image 1: "));
  EXPECT_THAT(failure(*classify, "image", {cut}), HasSubstr("INVALID_ARGUMENT image 0: "));
  EXPECT_THAT(failure(*classify, "image", {}),
              HasSubstr("INVALID_ARGUMENT input 'image' has no element"));
  EXPECT_LE(model.runs, 1);  // the images after the bad one are not asked about
}

TEST_F(BuiltinTest, ClassifyRefusesScoresThatAreNotFinite) {
  serve("net", classifier_signature(), [](const Tensors&) {
    return Tensors{
        {"scores", Tensor::of<float>({1, 3}, {1, std::numeric_limits<float>::quiet_NaN(), 0})}};
  });
  auto classify = make("classify", {{"model", "net"}});
  const std::string image = picture(1);
  EXPECT_THAT(failure(*classify, "image", {image}), HasSubstr("INTERNAL"));
}

TEST_F(BuiltinTest, ClassifyOptionsAreChecked) {
  serve("net", classifier_signature(), &by_red);
  engine::Signature free = classifier_signature();
  free.inputs[0].shape = {-1, 3, -1, -1};
  serve("free", free, &by_red);
  serve("text",
        {.inputs = {{"ids", DType::kInt64, {-1, -1}}}, .outputs = {{"x", DType::kFp32, {-1}}}},
        &by_red);
  EXPECT_THAT(refusal("classify", {}), HasSubstr("needs the option 'model'"));
  EXPECT_THAT(refusal("classify", {{"model", "nothing"}}), HasSubstr("nothing"));
  EXPECT_THAT(refusal("classify", {{"model", "net"}, {"topk", "1"}}),
              HasSubstr("no option 'topk'"));
  EXPECT_THAT(refusal("classify", {{"model", "net"}, {"top_k", "0"}}), HasSubstr("1 or more"));
  EXPECT_THAT(refusal("classify", {{"model", "net"}, {"fit", "squash"}}),
              HasSubstr("crop, stretch, pad"));
  EXPECT_THAT(refusal("classify", {{"model", "net"}, {"mean", "1,2"}}), HasSubstr("three"));
  EXPECT_THAT(refusal("classify", {{"model", "net"}, {"mean", "1,2,3,"}}), HasSubstr("three"));
  EXPECT_THAT(refusal("classify", {{"model", "net"}, {"std", "1,0,3"}}), HasSubstr("other than 0"));
  EXPECT_THAT(refusal("classify", {{"model", "net"}, {"softmax", "yes"}}),
              HasSubstr("true or false"));
  EXPECT_THAT(refusal("classify", {{"model", "net"}, {"labels", "missing.txt"}}),
              HasSubstr("missing.txt"));
  EXPECT_THAT(refusal("classify", {{"model", "free"}}), HasSubstr("'size'"));
  EXPECT_THAT(refusal("classify", {{"model", "text"}}),
              HasSubstr("one FP32 input of 4 dimensions"));
  EXPECT_EQ(refusal("classify", {{"model", "free"}, {"size", "32"}, {"fit", "pad"}}), "");
}

TEST_F(BuiltinTest, ClassifyTakesLabelsFromAFileBesideTheConfiguration) {
  serve("net", classifier_signature(), &by_red).with_labels({"a", "b", "c"});
  folder_.write("names.txt", "eins\r\nzwei\ndrei\n");
  auto classify = make("classify", {{"model", "net"}, {"labels", "names.txt"}, {"top_k", "9"}});
  const std::string image = picture(255);
  EXPECT_THAT(get_tensor(ask(*classify, "image", {image}).outputs, "label").strings(),
              ElementsAre("eins", "zwei", "drei"));
}

// ---- embed ----

engine::Signature transformer_signature() {
  return {.inputs = {{"input_ids", DType::kInt64, {-1, -1}},
                     {"attention_mask", DType::kInt64, {-1, -1}}},
          .outputs = {{"hidden", DType::kFp32, {-1, -1, 2}}}};
}
// Token embeddings (id, 1), and two tokens of padding that must not count.
Tensors ids_as_hidden(const Tensors& inputs) {
  std::vector<float> hidden;
  for (const std::int64_t id : get_tensor(inputs, "input_ids").values<std::int64_t>()) {
    hidden.insert(hidden.end(), {static_cast<float>(id), 1.0f});
  }
  hidden.insert(hidden.end(), {1000, 1000, 1000, 1000});
  return {
      {"hidden", Tensor::of<float>({1, static_cast<std::int64_t>(hidden.size() / 2), 2}, hidden)}};
}
constexpr const char* kVocabulary =
    "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nbun\n";  // [CLS] = 2, [SEP] = 3, bun = 5

TEST_F(BuiltinTest, EmbedFindsTheVocabularyBesideTheVersionFoldersAndKeepsTheOrder) {
  folder_.write("bert/vocab.txt", kVocabulary);
  serve("bert", transformer_signature(), &ids_as_hidden)
      .with_origin({.file = folder_.path() / "bert" / "1" / "model.onnx", .metadata = {}});
  auto embed = make("embed", {{"model", "bert"}, {"normalize", "false"}});
  const model::InferResponse response = ask(*embed, "text", {"bun bun", "", "bun"});
  const Tensor& rows = get_tensor(response.outputs, "embedding");
  EXPECT_EQ(rows.shape(), (Shape{3, 2}));
  // Means of (2 5 5 3), (2 3) and (2 5 3); the padding of the model's answer is left out.
  EXPECT_THAT(rows.values<float>(),
              ElementsAre(3.75f, 1.0f, 2.5f, 1.0f, ::testing::FloatEq(10.0f / 3), 1.0f));
}

TEST_F(BuiltinTest, EmbedNormalisesCutsAndNamesTheBadText) {
  folder_.write("v.txt", kVocabulary);
  Scripted& model = serve("bert", transformer_signature(), &ids_as_hidden);
  auto embed = make("embed", {{"model", "bert"}, {"vocab", "v.txt"}, {"max_tokens", "4"}});
  const model::InferResponse response = ask(*embed, "text", {"bun bun bun bun bun"});
  const std::span<const float> row = get_tensor(response.outputs, "embedding").values<float>();
  EXPECT_NEAR(row[0] * row[0] + row[1] * row[1], 1, 1e-5);
  EXPECT_NEAR(row[0] / row[1], 3.75, 1e-4);  // [CLS] bun bun [SEP]
  EXPECT_EQ(model.runs, 1);
  EXPECT_THAT(failure(*embed, "text", {"bun", "\xff"}), HasSubstr("INVALID_ARGUMENT text 1: "));
  EXPECT_THAT(failure(*embed, "text", {}), HasSubstr("has no element"));
}

TEST_F(BuiltinTest, EmbedOptionsAndModelAreChecked) {
  serve("bert", transformer_signature(), &ids_as_hidden);
  serve("image", classifier_signature(), &by_red);
  folder_.write("v.txt", kVocabulary);
  EXPECT_THAT(refusal("embed", {{"model", "bert"}}), HasSubstr("no tokenizer.json or vocab.txt"));
  EXPECT_THAT(refusal("embed", {{"model", "bert"}, {"vocab", "w.txt"}}), HasSubstr("w.txt"));
  EXPECT_THAT(refusal("embed", {{"model", "bert"}, {"vocab", "v.txt"}, {"output", "x"}}),
              HasSubstr("output 'x'"));
  EXPECT_THAT(refusal("embed", {{"model", "bert"}, {"vocab", "v.txt"}, {"max_tokens", "2"}}),
              HasSubstr("3 or more"));
  EXPECT_THAT(refusal("embed", {{"model", "image"}, {"vocab", "v.txt"}}), HasSubstr("BERT-like"));
}

// ---- ocr ----

// A page with `count` bars, one above the other, brighter on the left, and a detector that sees
// them where the page is bright.
constexpr Size kPage{736, 736};
constexpr int kBarHeight = 12, kBarDistance = 32;

std::string page_with(int count) {
  Image image = new_image(kPage);
  std::fill_n(image.mutable_data(), 3 * kPage.height * kPage.width, std::uint8_t{0});
  for (int bar = 0; bar < count; ++bar) {
    for (int y = 0; y < kBarHeight; ++y) {
      const int row = kBarDistance * (bar + 1) / 2 * 2 + y - kBarDistance / 2;
      std::uint8_t* start = image.mutable_data() + 3 * (row * kPage.width + 100);
      std::fill_n(start, 3 * 150, std::uint8_t{255});
      std::fill_n(start + 3 * 150, 3 * 150, std::uint8_t{210});
    }
  }
  return fixtures::png({image.data(), static_cast<std::size_t>(3 * kPage.height * kPage.width)},
                       kPage, SPNG_COLOR_TYPE_TRUECOLOR);
}

Tensors bright_is_text(const Tensors& inputs) {
  const Tensor& x = inputs[0].tensor;
  Tensor map = Tensor::allocate(DType::kFp32, {1, 1, x.shape()[2], x.shape()[3]});
  for (std::size_t i = 0; i < map.mutable_values<float>().size(); ++i) {
    map.mutable_values<float>()[i] = x.values<float>()[i] > 0.5f ? 1.0f : 0.0f;
  }
  return {{"map", map}};
}

class OcrTest : public BuiltinTest {
 protected:
  static constexpr int kClasses = 4;  // blank, a, b, space

  OcrTest() {
    serve("det",
          {.inputs = {{"x", DType::kFp32, {-1, 3, -1, -1}}},
           .outputs = {{"map", DType::kFp32, {-1, 1, -1, -1}}}},
          &bright_is_text);
    orient_ = &serve("cls", line_signature(2), [this](const Tensors&) {
      before_orient_();
      return Tensors{
          {"y", Tensor::of<float>({1, 2}, {0.1f, 0.9f})}};  // upside down, but not surely
    });
    recognise_ = &serve("rec",
                        {.inputs = {{"x", DType::kFp32, {-1, 3, 48, -1}}},
                         .outputs = {{"y", DType::kFp32, {-1, -1, kClasses}}}},
                        [this](const Tensors&) { return recognised(line_++); });
    recognise_->with_origin({.file = {}, .metadata = {{"character", "a\nb"}}});
  }
  static engine::Signature line_signature(std::int64_t classes) {
    return {.inputs = {{"x", DType::kFp32, {-1, 3, 48, -1}}},
            .outputs = {{"y", DType::kFp32, {-1, classes}}}};
  }
  // Line n reads "a", then n times "b" with blanks between; line `failing_` fails.
  Tensors recognised(int line) const {
    if (line == failing_) throw Error(failure_, "the recogniser stumbled");
    const auto step = [](std::vector<float>& steps, std::size_t best, float sure) {
      for (std::size_t c = 0; c < kClasses; ++c) steps.push_back(c == best ? sure : (1 - sure) / 3);
    };
    std::vector<float> steps;
    step(steps, 1, sure_);
    for (int i = 0; i < line; ++i) step(steps, 0, 0.9f), step(steps, 2, sure_);
    const auto count = static_cast<std::int64_t>(steps.size()) / kClasses;
    return {{"y", Tensor::of<float>({1, count, kClasses}, steps)}};
  }
  static Options options(Options more = {}) {
    more.insert({{"detect", "det"}, {"orient", "cls"}, {"recognise", "rec"}});
    return more;
  }

  Scripted* orient_ = nullptr;
  Scripted* recognise_ = nullptr;
  int line_ = 0;
  int failing_ = -1;
  float sure_ = 0.9f;
  Code failure_ = Code::kInternal;
  std::function<void()> before_orient_ = [] {};
};

TEST_F(OcrTest, ReadsAllLinesInReadingOrder) {
  auto ocr = make("ocr", options());
  EXPECT_TRUE(ocr->ready());
  const std::string page = page_with(4);
  const model::InferResponse response = ask(*ocr, "image", {page});
  EXPECT_THAT(get_tensor(response.outputs, "text").strings(),
              ElementsAre("a", "ab", "abb", "abbb"));
  EXPECT_THAT(get_tensor(response.outputs, "image").values<std::int64_t>(),
              ElementsAre(0, 0, 0, 0));
  EXPECT_EQ(get_tensor(response.outputs, "box").shape(), (Shape{4, 4, 2}));
  const std::span<const float> boxes = get_tensor(response.outputs, "box").values<float>();
  for (std::size_t line = 0; line < 4; ++line) {
    const float centre = (boxes[8 * line + 1] + boxes[8 * line + 7]) / 2;  // of the left edge
    EXPECT_NEAR(centre, 32.0f * static_cast<float>(line + 1) - 10, 2);
  }
  EXPECT_EQ(orient_->runs, 4);
  EXPECT_FALSE(response.parameters.contains("skipped"));
}

TEST_F(OcrTest, SaysWhichImageALineIsOn) {
  auto ocr = make("ocr", options());
  const std::string two = page_with(2), none = page_with(0), one = page_with(1);
  const model::InferResponse response = ask(*ocr, "image", {two, none, one});
  EXPECT_THAT(get_tensor(response.outputs, "image").values<std::int64_t>(), ElementsAre(0, 0, 2));
  EXPECT_EQ(get_tensor(response.outputs, "text").shape(), (Shape{3}));
  EXPECT_THAT(failure(*ocr, "image", {two, "?"}), HasSubstr("INVALID_ARGUMENT image 1: "));
}

TEST_F(OcrTest, APageWithoutTextHasNoLines) {
  auto ocr = make("ocr", options());
  const std::string none = page_with(0);
  const model::InferResponse response = ask(*ocr, "image", {none});
  EXPECT_EQ(get_tensor(response.outputs, "text").shape(), (Shape{0}));
  EXPECT_EQ(get_tensor(response.outputs, "box").shape(), (Shape{0, 4, 2}));
  EXPECT_EQ(recognise_->runs, 0);
}

TEST_F(OcrTest, OneFailingBoxFailsTheRequestAndStopsTheOthers) {
  failing_ = 0;
  auto ocr = make("ocr", options());
  const std::string page = page_with(6);
  EXPECT_EQ(failure(*ocr, "image", {page}), "INTERNAL the recogniser stumbled");
  EXPECT_EQ(recognise_->runs, 1);
}

TEST_F(OcrTest, OneFailingBoxIsSkippedAndCountedByOption) {
  failing_ = 1;
  auto ocr = make("ocr", options({{"skip_failed", "true"}}));
  const std::string page = page_with(4);
  const model::InferResponse response = ask(*ocr, "image", {page});
  EXPECT_THAT(get_tensor(response.outputs, "text").strings(), ElementsAre("a", "abb", "abbb"));
  EXPECT_EQ(response.parameters.at("skipped"), model::Parameter(std::int64_t{1}));
}

TEST_F(OcrTest, OverloadIsNotSkipped) {
  failing_ = 1;
  failure_ = Code::kResourceExhausted;
  auto ocr = make("ocr", options({{"skip_failed", "true"}}));
  const std::string page = page_with(4);
  EXPECT_THAT(failure(*ocr, "image", {page}), HasSubstr("RESOURCE_EXHAUSTED"));
}

TEST_F(OcrTest, CancellingStopsTheBoxesThatHaveNotRun) {
  for (const char* skip_failed : {"false", "true"}) {
    StopSource stop;
    const Context context{stop.token(), kNever, nullptr};
    before_orient_ = [&] {
      if (orient_->runs == 3) stop.request_stop();
    };
    orient_->runs = recognise_->runs = 0;
    auto ocr = make("ocr", options({{"skip_failed", skip_failed}}));
    const std::string page = page_with(20);
    try {
      ask(*ocr, "image", {page}, context);
      ADD_FAILURE() << "it was cancelled";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kCancelled);
    }
    EXPECT_EQ(orient_->runs, 3);  // of 20
    EXPECT_LT(recognise_->runs, 3);
  }
}

TEST_F(OcrTest, UnsureLinesAreLeftOut) {
  sure_ = 0.4f;
  auto strict = make("ocr", options());
  auto lenient = make("ocr", options({{"text_score", "0.3"}}));
  const std::string page = page_with(2);
  EXPECT_EQ(get_tensor(ask(*strict, "image", {page}).outputs, "text").elements(), 0);
  EXPECT_EQ(get_tensor(ask(*lenient, "image", {page}).outputs, "text").elements(), 2);
}

TEST_F(OcrTest, LinesUpsideDownAreTurnedFromTheThresholdOn) {
  bool brighter_left = false;  // as the bars are on the page
  engine::Signature signature{.inputs = {{"x", DType::kFp32, {-1, 3, 48, -1}}},
                              .outputs = {{"y", DType::kFp32, {-1, -1, kClasses}}}};
  serve("eye", signature, [&](const Tensors& inputs) {
    const auto width = static_cast<std::size_t>(inputs[0].tensor.shape()[3]);
    const std::span<const float> row = inputs[0].tensor.values<float>().subspan(24 * width, width);
    brighter_left = row[width / 4] > row[3 * width / 4];
    return recognised(0);
  }).with_origin({.file = {}, .metadata = {{"character", "a\nb"}}});
  const std::string page = page_with(1);
  const auto turned = [&](Options more) {
    more["recognise"] = "eye";
    auto ocr = make("ocr", options(std::move(more)));
    ask(*ocr, "image", {page});
    return !brighter_left;
  };
  EXPECT_FALSE(turned({{"orient_threshold", "0.95"}}));  // the orientation model says 0.9
  EXPECT_TRUE(turned({{"orient_threshold", "0.5"}}));
  EXPECT_FALSE(turned({{"orient", ""}, {"orient_threshold", "0.5"}}));
}

TEST_F(OcrTest, ALineThatReadsBadlyWhenTurnedIsReadAsItWasToo) {
  engine::Signature signature{.inputs = {{"x", DType::kFp32, {-1, 3, 48, -1}}},
                              .outputs = {{"y", DType::kFp32, {-1, -1, kClasses}}}};
  Scripted& eye = serve("eye", signature, [&](const Tensors& inputs) {
                    const auto width = static_cast<std::size_t>(inputs[0].tensor.shape()[3]);
                    const std::span<const float> row =
                        inputs[0].tensor.values<float>().subspan(24 * width, width);
                    const bool as_on_the_page = row[width / 4] > row[3 * width / 4];
                    sure_ = as_on_the_page ? 0.9f : 0.6f;
                    return recognised(as_on_the_page ? 1 : 0);
                  }).with_origin({.file = {}, .metadata = {{"character", "a\nb"}}});
  auto ocr = make("ocr", options({{"recognise", "eye"}, {"orient_threshold", "0.5"}}));
  const std::string page = page_with(1);
  EXPECT_THAT(get_tensor(ask(*ocr, "image", {page}).outputs, "text").strings(), ElementsAre("ab"));
  EXPECT_EQ(eye.runs, 2);
}

TEST_F(OcrTest, TheDictionaryComesFromOptionMetadataOrFile) {
  folder_.write("dict.txt", "x\ny\n \n");  // the space at its end is the network's last class
  auto by_option = make("ocr", options({{"dictionary", "dict.txt"}}));
  const std::string page = page_with(2);
  EXPECT_THAT(get_tensor(ask(*by_option, "image", {page}).outputs, "text").strings(),
              ElementsAre("x", "xy"));
  recognise_->with_origin({.file = folder_.path() / "1" / "model.onnx", .metadata = {}});
  auto by_file = make("ocr", options());
  line_ = 0;
  EXPECT_THAT(get_tensor(ask(*by_file, "image", {page}).outputs, "text").strings(),
              ElementsAre("x", "xy"));
  recognise_->with_origin({});
  EXPECT_THAT(refusal("ocr", options()), HasSubstr("no dictionary"));
}

TEST_F(OcrTest, OptionsAreChecked) {
  EXPECT_THAT(refusal("ocr", {{"recognise", "rec"}}), HasSubstr("needs the option 'detect'"));
  EXPECT_THAT(refusal("ocr", options({{"box_threshold", "2"}})), HasSubstr("0 to 1"));
  EXPECT_THAT(refusal("ocr", options({{"boxes_max", "0"}})), HasSubstr("1 or more"));
  EXPECT_THAT(refusal("ocr", options({{"box_tresh", "0.3"}})), HasSubstr("no option 'box_tresh'"));
  Options twisted = options();
  twisted["detect"] = "nothing";
  EXPECT_THAT(refusal("ocr", twisted), HasSubstr("nothing"));
}

}  // namespace
}  // namespace baozi::pipeline
