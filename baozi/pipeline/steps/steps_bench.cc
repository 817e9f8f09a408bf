// The steps that every request pays for, on inputs of the built-in pipelines' sizes.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "baozi/pipeline/steps/ctc_decode.h"
#include "baozi/pipeline/steps/image_decode.h"
#include "baozi/pipeline/steps/image_fixtures.h"
#include "baozi/pipeline/steps/image_normalise.h"
#include "baozi/pipeline/steps/image_resize.h"
#include "baozi/pipeline/steps/mean_pool.h"
#include "baozi/pipeline/steps/text_boxes.h"
#include "baozi/pipeline/steps/top_k.h"
#include "baozi/pipeline/steps/wordpiece.h"

namespace baozi::pipeline {
namespace {

constexpr Size kPhoto{1500, 2000};

void decode(benchmark::State& state, const std::string& file) {
  const DecodeOptions options{.side_min = static_cast<int>(state.range(0))};
  for (auto _ : state)
    benchmark::DoNotOptimize(decode_image(std::as_bytes(std::span(file)), options));
}

void decode_jpeg(benchmark::State& state) {
  decode(state, fixtures::jpeg(fixtures::gradient(kPhoto)));
}
BENCHMARK(decode_jpeg)->ArgName("side_min")->Arg(0)->Arg(256)->Unit(benchmark::kMillisecond);
void decode_png(benchmark::State& state) {
  decode(state, fixtures::png(fixtures::gradient({750, 1000})));
}
BENCHMARK(decode_png)->ArgName("side_min")->Arg(0)->Unit(benchmark::kMillisecond);
void decode_webp(benchmark::State& state) {
  decode(state, fixtures::webp(fixtures::gradient({750, 1000})));
}
BENCHMARK(decode_webp)->ArgName("side_min")->Arg(0)->Unit(benchmark::kMillisecond);

void resize_smooth(benchmark::State& state) {
  const Image image = fixtures::gradient({375, 500});
  const Rect square = centre_square(image.size(), 0.875);
  for (auto _ : state)
    benchmark::DoNotOptimize(resize_crop(image, square, {224, 224}, Interpolation::kSmooth));
}
BENCHMARK(resize_smooth)->Unit(benchmark::kMicrosecond);

void normalise_224(benchmark::State& state) {
  const Image image = fixtures::gradient({224, 224});
  std::vector<float> out(3 * 224 * 224);
  for (auto _ : state) {
    normalise(image, {.mean = {127, 127, 127}, .std = {128, 128, 128}}, out);
    benchmark::DoNotOptimize(out.data());
  }
}
BENCHMARK(normalise_224)->Unit(benchmark::kMicrosecond);

void wordpiece_sentence(benchmark::State& state) {
  std::string vocab = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n.\n,\nthe\nover\n##ing\n##s\n";
  for (char c = 'a'; c <= 'z'; ++c) vocab += std::string(1, c) + "\n##" + c + "\n";
  for (int i = 0; i < 30'000; ++i) vocab += "filler" + std::to_string(i) + "\n";
  const Wordpiece tokenizer = Wordpiece::from_vocab(vocab);
  const std::string text =
      "The quick brown foxes, jumping over the lazy dögs, were café regulars. ";
  for (auto _ : state) benchmark::DoNotOptimize(tokenizer.encode(text));
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * text.size()));
}
BENCHMARK(wordpiece_sentence)->Unit(benchmark::kMicrosecond);

void mean_pool_8x32x384(benchmark::State& state) {
  const std::vector<float> values(8 * 32 * 384, 0.5f);
  const std::vector<std::int64_t> ones(8 * 32, 1);
  const Tensor hidden = Tensor::of<float>({8, 32, 384}, std::span<const float>(values));
  const Tensor mask = Tensor::of<std::int64_t>({8, 32}, std::span<const std::int64_t>(ones));
  for (auto _ : state) benchmark::DoNotOptimize(mean_pool(hidden, mask));
}
BENCHMARK(mean_pool_8x32x384)->Unit(benchmark::kMicrosecond);

void ctc_decode_40x6625(benchmark::State& state) {
  std::string lines;
  for (int i = 0; i < 6623; ++i) lines += "x\n";
  const CtcDictionary dictionary(lines);
  const std::vector<float> values(40 * 6625, 0.0001f);
  const Tensor steps = Tensor::of<float>({1, 40, 6625}, std::span<const float>(values));
  for (auto _ : state) benchmark::DoNotOptimize(ctc_decode(steps, dictionary));
}
BENCHMARK(ctc_decode_40x6625)->Unit(benchmark::kMicrosecond);

void top_5_of_1000(benchmark::State& state) {
  std::vector<float> scores(1000);
  for (std::size_t i = 0; i < scores.size(); ++i)
    scores[i] = static_cast<float>(i * 7919 % 1000) / 1000;
  for (auto _ : state) benchmark::DoNotOptimize(top_k(scores, {}, {.softmax = true}, "scores"));
}
BENCHMARK(top_5_of_1000)->Unit(benchmark::kMicrosecond);

void text_boxes_736x992(benchmark::State& state) {
  std::vector<float> values(736 * 992, 0.0f);
  for (std::size_t y = 0; y < 736; ++y) {
    for (std::size_t x = 100; x < 800; ++x) values[y * 992 + x] = y % 32 < 16 ? 0.9f : 0.0f;
  }
  const Tensor map = Tensor::of<float>({1, 1, 736, 992}, std::span<const float>(values));
  for (auto _ : state) benchmark::DoNotOptimize(text_boxes(map, {736, 992}));
}
BENCHMARK(text_boxes_736x992)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace baozi::pipeline
