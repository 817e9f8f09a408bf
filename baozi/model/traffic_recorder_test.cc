#include "baozi/model/traffic_recorder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <thread>

#include "baozi/base/error.h"
#include "baozi/coro/sync_wait.h"
#include "baozi/engine/scratch_folder.h"
#include "baozi/model/warmup_records.h"

namespace baozi::model {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;

engine::Signature signature() {
  return {{{"x", DType::kFp32, {-1, -1}}, {"word", DType::kBytes, {-1}}},
          {{"y", DType::kFp32, {-1}}}};
}

Tensors inputs(float value, std::int64_t length = 2, std::string_view word = "secret") {
  const std::vector<float> values(static_cast<std::size_t>(length), value);
  return {{"x", Tensor::of<float>({1, length}, std::span<const float>(values))},
          {"word", Tensor::of_strings({1}, {word})}};
}

class TrafficRecorderTest : public testing::Test {
 protected:
  RecorderOptions options() const { return {.file = file_, .every = 1h, .share = 1}; }
  std::vector<WarmupSample> recorded() const {
    std::ifstream stream(file_, std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(stream)), {});
    return parse_warmup_records(bytes, "recorded");
  }

  engine::ScratchFolder folder_;
  std::filesystem::path file_ = folder_.path() / "deep" / "m.tfrecord";
};

TEST_F(TrafficRecorderTest, WhatCameIsWrittenWhenItGoes) {
  {
    TrafficRecorder recorder("m", signature(), options());
    recorder.request(inputs(1));
    recorder.request(inputs(2));
    EXPECT_FALSE(std::filesystem::exists(file_));
  }
  const std::vector<WarmupSample> samples = recorded();
  ASSERT_EQ(samples.size(), 2u);
  EXPECT_THAT(get_tensor(samples[0].inputs, "x").values<float>(), ElementsAre(1, 1));
  EXPECT_THAT(get_tensor(samples[0].inputs, "word").strings(), ElementsAre("secret"));
  const auto mode = std::filesystem::status(file_).permissions();
  EXPECT_EQ(mode, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(file_.parent_path()), {}), 1)
      << "nothing half written is left";
}

TEST_F(TrafficRecorderTest, WritesInTheBackgroundToo) {
  RecorderOptions often = options();
  often.every = 1ms;
  TrafficRecorder recorder("m", signature(), often);
  recorder.request(inputs(1));
  const Time end = Clock::now() + 20s;
  while (!std::filesystem::exists(file_) && Clock::now() < end) std::this_thread::sleep_for(1ms);
  EXPECT_EQ(recorded().size(), 1u);
}

TEST_F(TrafficRecorderTest, LooksAtAShareOnly) {
  RecorderOptions some = options();
  some.share = 10;
  {
    TrafficRecorder recorder("m", signature(), some);
    for (int i = 0; i < 20; ++i) recorder.request(inputs(static_cast<float>(i)));
  }
  EXPECT_EQ(recorded().size(), 2u);
}

TEST_F(TrafficRecorderTest, ZeroKeepsShapesAndLengthsButNoValues) {
  RecorderOptions redacted = options();
  redacted.redact = find_redaction("zero");
  {
    TrafficRecorder recorder("m", signature(), redacted);
    recorder.request(inputs(42, 5));
  }
  const std::vector<WarmupSample> samples = recorded();
  ASSERT_EQ(samples.size(), 1u);
  const Tensor& x = get_tensor(samples[0].inputs, "x");
  EXPECT_EQ(x.shape(), (Shape{1, 5}));
  EXPECT_THAT(x.values<float>(), testing::Each(testing::Lt(1)));
  const std::vector<std::string_view> words = get_tensor(samples[0].inputs, "word").strings();
  EXPECT_THAT(words, ElementsAre("steam "));
}

void shout(std::string_view model, Tensors& inputs) noexcept {
  inputs[0].tensor.mutable_values<float>()[0] = model == "m" ? 77 : 0;
}

TEST_F(TrafficRecorderTest, ARegisteredRedactionSeesWhatIsKept) {
  register_redaction("shout", &shout);
  EXPECT_THROW(register_redaction("shout", &shout), Error);
  RecorderOptions redacted = options();
  redacted.redact = find_redaction("shout");
  Tensors sent = inputs(1);
  {
    TrafficRecorder recorder("m", signature(), redacted);
    recorder.request(sent);
  }
  EXPECT_THAT(get_tensor(recorded()[0].inputs, "x").values<float>(), ElementsAre(77, 1));
  EXPECT_THAT(get_tensor(sent, "x").values<float>(), ElementsAre(1, 1)) << "the request is whole";
  EXPECT_THROW(find_redaction("whisper"), Error);
  EXPECT_EQ(find_redaction(""), nullptr);
}

TEST_F(TrafficRecorderTest, WhatDoesNotFitIsNotKept) {
  {
    TrafficRecorder recorder("m", signature(), options());
    recorder.request({});
    recorder.request({{"x", Tensor::of<float>({1, 1}, {1})}});
    recorder.request(
        {{"x", Tensor::of<float>({1}, {1})}, {"word", Tensor::of_strings({1}, {"a"})}});
  }
  EXPECT_FALSE(std::filesystem::exists(file_));
}

TEST_F(TrafficRecorderTest, WhatWasRecordedBeforeGoesOnCounting) {
  {
    TrafficRecorder recorder("m", signature(), options());
    recorder.request(inputs(1, 2));
  }
  {
    TrafficRecorder recorder("m", signature(), options());
    recorder.restore(recorded());
    recorder.request(inputs(2, 100));
  }
  EXPECT_EQ(recorded().size(), 2u);
}

TEST_F(TrafficRecorderTest, AFolderThatCannotBeWrittenIsNoFailure) {
  RecorderOptions nowhere = options();
  nowhere.file = "/proc/nowhere/m.tfrecord";
  TrafficRecorder recorder("m", signature(), nowhere);
  recorder.request(inputs(1));
  recorder.write();
  EXPECT_FALSE(std::filesystem::exists(nowhere.file));
}

TEST_F(TrafficRecorderTest, ManyThreadsAtOnce) {
  RecorderOptions often = options();
  often.every = 100us;
  {
    TrafficRecorder recorder("m", signature(), often);
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&recorder, t] {
        for (int i = 0; i < 500; ++i) recorder.request(inputs(static_cast<float>(t), 1 + i % 40));
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  EXPECT_GE(recorded().size(), 1u);
}

}  // namespace
}  // namespace baozi::model
