// The built-in pipelines over the real models, against what plain ONNX Runtime and rapidocr's own
// code answered (testdata/golden). `make test` prepares the models first; elsewhere BAOZI_MODELS
// names their folder.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <simdjson.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include "baozi/base/error.h"
#include "baozi/coro/nursery.h"
#include "baozi/coro/sync_wait.h"
#include "baozi/coro/thread_pool.h"
#include "baozi/engine/engine.h"
#include "baozi/pipeline/batched_model.h"
#include "baozi/pipeline/builtin/builtin.h"
#include "baozi/pipeline/steps/image_decode.h"
#include "baozi/pipeline/steps/image_fixtures.h"

namespace baozi::pipeline {
namespace {

namespace fs = std::filesystem;
using ::testing::Contains;
using ::testing::HasSubstr;

fs::path models_folder() {
  if (const char* models = std::getenv("BAOZI_MODELS")) return models;
  if (const char* cache = std::getenv("BAOZI_CACHE")) return fs::path(cache) / "models";
  return fs::path(BAOZI_SOURCE_DIR) / ".cache" / "models";
}

std::string read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw Error(Code::kNotFound, path.string() + " is missing: run `make setup`");
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}
std::string picture(const std::string& name) {
  return read_file(models_folder().parent_path() / "data" / name);
}
simdjson::padded_string golden(const std::string& name) {
  return simdjson::padded_string(
      read_file(fs::path(BAOZI_SOURCE_DIR) / "testdata" / "golden" / name));
}

std::string squeezed(std::string_view text) {
  std::string letters;
  for (const char c : text) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0)
      letters += static_cast<char>(std::tolower(c));
  }
  return letters;
}

class GoldenTest : public ::testing::Test {
 protected:
  GoldenTest() { add_builtin_pipelines(kinds_); }

  void load(const std::string& name, std::map<std::string, double> pad = {}) {
    const fs::path file = models_folder() / name / "1" / "model.onnx";
    if (!fs::exists(file))
      throw Error(Code::kNotFound, file.string() + " is missing: run `make setup`");
    std::vector<std::string> labels;
    std::ifstream lines(models_folder() / name / "labels.txt");
    for (std::string line; std::getline(lines, line);) labels.push_back(line);
    std::shared_ptr<engine::Model> model = engine::engine_for(file).load(file, {}, {});
    models_.add(std::make_shared<BatchedModel>(
        std::move(model),
        BatchedModelOptions{
            .name = name, .labels = std::move(labels), .file = file, .pad = std::move(pad)}));
  }
  void load_ocr() {
    load("ocr_det");
    load("ocr_cls");
    load("ocr_rec", {{"x", 0}});
  }
  std::shared_ptr<model::Servable> make(const char* kind,
                                        std::map<std::string, std::string> options) {
    return kinds_.make(
        kind, {.name = kind, .cpu = &cpu_, .models = &models_, .options = std::move(options)});
  }
  std::shared_ptr<model::Servable> make_ocr_over_models(
      std::map<std::string, std::string> options = {}) {
    options.insert({{"detect", "ocr_det"}, {"orient", "ocr_cls"}, {"recognise", "ocr_rec"}});
    return make("ocr", std::move(options));
  }
  static Tensors ask(model::Servable& servable, const char* input,
                     const std::vector<std::string>& elements, const Context& context = {}) {
    const std::vector<std::string_view> views(elements.begin(), elements.end());
    model::InferRequest request;
    request.inputs.push_back(
        {input, Tensor::of_strings({static_cast<std::int64_t>(views.size())}, views)});
    return sync_wait(servable.infer(std::move(request)), context).outputs;
  }

  ThreadPool cpu_{2};
  model::Repository models_;
  Registry kinds_;
};

TEST_F(GoldenTest, ClassifiesPhotographs) {
  load("efficientnet_lite0");
  auto classify = make("classify", {{"model", "efficientnet_lite0"}});
  simdjson::dom::parser parser;
  const simdjson::padded_string text = golden("classify.json");
  const simdjson::dom::array photographs = parser.parse(text).get_array();
  std::vector<std::string> files;
  for (const simdjson::dom::element photograph : photographs) {
    files.push_back(picture(std::string(photograph["image"].get_string().value())));
  }
  RequestTrace trace;
  const Tensors outputs =
      ask(*classify, "image", files, {.stop = {}, .deadline = kNever, .trace = &trace});
  const std::vector<std::string_view> labels = get_tensor(outputs, "label").strings();
  const std::span<const float> scores = get_tensor(outputs, "score").values<float>();
  std::size_t at = 0;
  for (const simdjson::dom::element photograph : photographs) {
    const simdjson::dom::element best = photograph["top"].at(0);
    const auto label = best["label"].get_string().value();
    const double score = best["score"].get_double();
    // The reference cuts at 256 pixels after resizing, the pipeline before: neighbours in rank may
    // change places.
    const auto row = std::span(labels).subspan(at, 5);
    const auto found = std::ranges::find(row, label);
    ASSERT_NE(found, row.end()) << photograph["image"];
    EXPECT_NEAR(scores[at + static_cast<std::size_t>(found - row.begin())], score, 0.08)
        << photograph["image"];
    if (score > 0.5) {
      EXPECT_EQ(row.front(), label);
    }
    at += 5;
  }
  std::set<std::string> stages;
  for (const RequestTrace::Stage& stage : trace.stages()) stages.insert(stage.name);
  EXPECT_EQ(stages, (std::set<std::string>{"decode", "resize", "queue", "model", "rank"}));
}

TEST_F(GoldenTest, EmbedsTexts) {
  load("minilm", {{"input_ids", 0}, {"attention_mask", 0}, {"token_type_ids", 0}});
  auto embed = make("embed", {{"model", "minilm"}});
  simdjson::dom::parser parser;
  const simdjson::padded_string text = golden("embed.json");
  std::vector<std::string> texts;
  std::vector<std::vector<double>> wanted;
  for (const simdjson::dom::element entry : parser.parse(text).get_array()) {
    texts.emplace_back(entry["text"].get_string().value());
    for (auto& row = wanted.emplace_back(); const double value : entry["embedding"].get_array())
      row.push_back(value);
  }
  const Tensors outputs = ask(*embed, "text", texts);
  const Tensor& embedding = get_tensor(outputs, "embedding");
  ASSERT_EQ(embedding.shape(), (Shape{static_cast<std::int64_t>(texts.size()), 384}));
  for (std::size_t n = 0; n < texts.size(); ++n) {
    for (std::size_t d = 0; d < 384; ++d) {
      ASSERT_NEAR(embedding.values<float>()[384 * n + d], wanted[n][d], 2e-5)
          << texts[n] << " at " << d;
    }
  }
}

// A text's embedding does not depend on the company it is batched in.
TEST_F(GoldenTest, EmbedsManyTextsOfUnlikeLengthTogether) {
  load("minilm", {{"input_ids", 0}, {"attention_mask", 0}, {"token_type_ids", 0}});
  auto embed = make("embed", {{"model", "minilm"}});
  std::vector<std::string> texts;
  for (int n = 0; n < 40; ++n) {
    std::string& text = texts.emplace_back("A steamed bun");
    for (int i = 0; i < n % 7; ++i) text += " with a little more filling";
  }
  const Tensors outputs = ask(*embed, "text", texts);
  const std::span<const float> all = get_tensor(outputs, "embedding").values<float>();
  for (const std::size_t n : {std::size_t{0}, std::size_t{6}, std::size_t{39}}) {
    const Tensors alone = ask(*embed, "text", {texts[n]});
    for (std::size_t d = 0; d < 384; ++d) {
      ASSERT_NEAR(all[384 * n + d], get_tensor(alone, "embedding").values<float>()[d], 1e-5)
          << n << " at " << d;
    }
  }
}

struct GoldenLine {
  std::string text;
  double score = 0;
  std::vector<double> box;
};

std::vector<GoldenLine> golden_lines(double threshold) {
  simdjson::dom::parser parser;
  const simdjson::padded_string text = golden("ocr.json");
  std::vector<GoldenLine> lines;
  for (const simdjson::dom::element page : parser.parse(text).get_array()) {
    if (page["box_thresh"].get_double() != threshold) continue;
    for (const simdjson::dom::element line : page["lines"].get_array()) {
      GoldenLine& added = lines.emplace_back();
      added.text = line["text"].get_string().value();
      added.score = line["score"].get_double();
      for (const simdjson::dom::element corner : line["box"].get_array()) {
        for (const double value : corner.get_array()) added.box.push_back(value);
      }
    }
  }
  return lines;
}

TEST_F(GoldenTest, ReadsThePage) {
  load_ocr();
  for (const double threshold : {0.3, 0.5}) {
    auto ocr = make_ocr_over_models({{"box_threshold", threshold == 0.3 ? "0.3" : "0.5"}});
    RequestTrace trace;
    const Tensors outputs = ask(*ocr, "image", {picture("page.png")},
                                {.stop = {}, .deadline = kNever, .trace = &trace});
    const std::vector<GoldenLine> wanted = golden_lines(threshold);
    const std::vector<std::string_view> texts = get_tensor(outputs, "text").strings();
    ASSERT_EQ(texts.size(), wanted.size()) << ::testing::PrintToString(texts);
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      EXPECT_EQ(squeezed(texts[i]), squeezed(wanted[i].text));
      EXPECT_NEAR(get_tensor(outputs, "score").values<float>()[i], wanted[i].score, 0.03)
          << texts[i];
      for (std::size_t c = 0; c < 8; ++c) {
        EXPECT_NEAR(get_tensor(outputs, "box").values<float>()[8 * i + c], wanted[i].box[c], 2)
            << texts[i];
      }
    }
    std::set<std::string> stages;
    for (const RequestTrace::Stage& stage : trace.stages()) stages.insert(stage.name);
    EXPECT_THAT(stages, ::testing::IsSupersetOf(
                            {"decode", "resize", "detect", "crop", "orient", "recognise"}));
  }
}

// Boxes are read beside each other: the recognition of one begins before that of another has ended.
TEST_F(GoldenTest, ReadsTheBoxesOfAPageConcurrently) {
  load_ocr();
  auto ocr = make_ocr_over_models();
  RequestTrace trace;
  ask(*ocr, "image", {picture("page.png")}, {.stop = {}, .deadline = kNever, .trace = &trace});
  std::vector<RequestTrace::Stage> recognised;
  std::ranges::copy_if(trace.stages(), std::back_inserter(recognised), [](const auto& stage) {
    return std::string_view(stage.name) == "recognise";
  });
  ASSERT_GE(recognised.size(), 2u);
  const auto overlaps = [&](const RequestTrace::Stage& one) {
    return std::ranges::count_if(recognised, [&](const auto& other) {
             return other.start < one.end && one.start < other.end;
           }) > 1;  // more than itself
  };
  EXPECT_TRUE(std::ranges::any_of(recognised, overlaps));
}

TEST_F(GoldenTest, ReadsThePageUpsideDown) {
  load_ocr();
  auto ocr = make_ocr_over_models();
  const std::string file = picture("page.png");
  const Image page = turn_upright(decode_image(std::as_bytes(std::span(file))), 3);
  const std::string turned = fixtures::png({page.data(), page.pixels.data().size()}, page.size(),
                                           SPNG_COLOR_TYPE_TRUECOLOR);
  const Tensors outputs = ask(*ocr, "image", {turned});
  std::vector<std::string> texts;
  for (const std::string_view text : get_tensor(outputs, "text").strings())
    texts.push_back(squeezed(text));
  EXPECT_THAT(texts, Contains(HasSubstr("regionbasedsegmentation")));
  EXPECT_THAT(texts, Contains(HasSubstr("unambiguouslyaseither")));
}

}  // namespace
}  // namespace baozi::pipeline
