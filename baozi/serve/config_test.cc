#include "baozi/serve/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "baozi/base/error.h"

namespace baozi::serve {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

std::string error_of(const std::string& text) {
  try {
    parse_config(text, "shop.yaml");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kInvalidArgument);
    return error.message();
  }
  return "no error";
}

TEST(Config, ReadsEveryKey) {
  const Config config = parse_config(R"(
http: {host: 0.0.0.0, port: 0, body_bytes_max: 1000, connections_max: 7, head_timeout_ms: 1, idle_timeout_ms: 2, drain_timeout_ms: 3}
cpu_threads: 3
log_level: debug
requests_max: 9
prepared: {folder: kept, bytes_max: 77}
plugins: [libmine.so]
models:
  - name: text
    path: models/text
    engine: onnx
    instances: 2
    threads: 4
    batch: {policy: delay, max: 8, delay_us: 500}
    queue_max: 50
    pad: {attention_mask: 0, input_ids: 1}
    labels: labels.txt
    optimization_level: 2
    session_config: {session.intra_op.allow_spinning: "1"}
    memory_bytes_max: 123456
    warmup: {samples: tea.json, budget_ms: 70, tolerance: 0.5, record: true, redact: zero}
    providers:
      - {name: cuda, options: {device_id: "0"}}
      - {name: mine, library: libep.so}
pipelines:
  - {name: read, type: ocr, options: {skip_failed: "true"}, warmup: {enabled: false}}
)",
                                     "/shop/baozi.yaml");
  EXPECT_EQ(config.http.host, "0.0.0.0");
  EXPECT_EQ(config.http.port, 0);
  EXPECT_EQ(config.http.connections_max, 7);
  EXPECT_EQ(config.http.drain_timeout.count(), 3);
  EXPECT_EQ(config.cpu_threads, 3);
  EXPECT_EQ(config.requests_max, 9);
  EXPECT_EQ(config.prepared.folder, "/shop/kept");
  EXPECT_EQ(config.prepared.bytes_max, 77u);
  ASSERT_EQ(config.plugins.size(), 1u);
  EXPECT_EQ(config.plugins[0], "/shop/libmine.so");
  ASSERT_EQ(config.models.size(), 1u);
  const ModelConfig& model = config.models[0];
  EXPECT_EQ(model.path, "/shop/models/text");
  EXPECT_EQ(model.batch.policy, "delay");
  EXPECT_EQ(model.batch.delay.count(), 500);
  EXPECT_EQ(model.pad.at("input_ids"), 1.0);
  EXPECT_EQ(model.labels, "/shop/labels.txt");
  EXPECT_EQ(model.options.threads, 4);
  ASSERT_EQ(model.options.providers.size(), 2u);
  EXPECT_EQ(model.options.providers[1].library, "/shop/libep.so");
  EXPECT_TRUE(model.warmup.enabled);
  EXPECT_EQ(model.warmup.samples, "/shop/tea.json");
  EXPECT_EQ(model.warmup.budget.count(), 70);
  EXPECT_EQ(model.warmup.tolerance, 0.5);
  EXPECT_TRUE(model.warmup.record);
  EXPECT_EQ(model.warmup.redact, "zero");
  ASSERT_EQ(config.pipelines.size(), 1u);
  EXPECT_FALSE(config.pipelines[0].warmup.enabled);
  EXPECT_EQ(config.pipelines[0].options.at("skip_failed"), "true");
}

TEST(Config, PreparedModelsAreKeptInTheUsersCacheUnlessItSaysElse) {
  const auto folder_of = [](const std::string& text) {
    return parse_config("models: [{path: a.onnx}]\n" + text, "/shop/baozi.yaml").prepared.folder;
  };
  EXPECT_EQ(folder_of(""), default_prepared().folder);
  EXPECT_EQ(folder_of("prepared: {folder: default}"), default_prepared().folder);
  EXPECT_TRUE(default_prepared().folder.empty() || default_prepared().folder.is_absolute());
  EXPECT_EQ(folder_of("prepared: {folder: off}"), "");
  EXPECT_EQ(folder_of("prepared: {folder: /elsewhere}"), "/elsewhere");
  EXPECT_THAT(error_of("models: [{path: a}]\nprepared: {foldr: x}"), HasSubstr("'folder'"));
  EXPECT_THAT(error_of("models: [{path: a}]\nprepared: {bytes_max: -1}"), HasSubstr("bytes_max"));
}

TEST(Config, AModelIsWholeUnlessLayersAreAskedFor) {
  const auto with = [](const std::string& layers) {
    return "models:\n  - path: a.onnx\n" + layers;
  };
  const auto layers_of = [&](const std::string& layers) {
    return parse_config(with(layers), "/shop/baozi.yaml").models[0].options.layers;
  };
  EXPECT_EQ(layers_of(""), 1);
  EXPECT_EQ(layers_of("    layers: 64"), 64);
  for (const char* wrong : {"0", "-4", "65", "four", "1.5"})
    EXPECT_THAT(error_of(with(std::string("    layers: ") + wrong)), HasSubstr("'layers'"))
        << wrong;
}

TEST(Config, InstancesAreANumberOrBounds) {
  const auto instances_of = [](const std::string& instances) {
    return parse_config("models: [{path: a.onnx, instances: " + instances + "}]", "/shop/a.yaml")
        .models[0]
        .instances;
  };
  EXPECT_EQ(instances_of("3").least, 3);
  EXPECT_FALSE(instances_of("3").elastic);
  const InstancesConfig bounds = instances_of("{min: 2, max: 5, shrink_after_ms: 70}");
  EXPECT_TRUE(bounds.elastic);
  EXPECT_EQ(bounds.least, 2);
  EXPECT_EQ(bounds.most, 5);
  EXPECT_EQ(bounds.shrink_after.count(), 70);
  EXPECT_EQ(instances_of("{max: 5}").least, 1);
  EXPECT_EQ(error_of("models:\n  - path: a.onnx\n    instances: {min: 3, max: 2}\n"),
            "shop.yaml:3:25: models[0].instances: 'max' is 2, but must be at least 'min', which is "
            "3");
}

TEST(Config, TypoNamesFileLineColumnAndTheFix) {
  EXPECT_EQ(error_of("models:\n  - path: a.onnx\n    instaces: 2\n"),
            "shop.yaml:3:5: models[0]: unknown key 'instaces'; did you mean 'instances'?");
}

TEST(Config, AQuotedNumberIsAText) {
  EXPECT_THAT(error_of("cpu_threads: \"3\"\nmodels: [{path: a.onnx}]\n"),
              HasSubstr("'cpu_threads' must be a whole number"));
}

TEST(Config, UnlikeKeyListsTheKnownOnes) {
  EXPECT_THAT(error_of("models:\n  - path: a.onnx\nzzzzzz: 1\n"),
              HasSubstr("shop.yaml:3:1: unknown key 'zzzzzz'; known here: "));
}

TEST(Config, WrongValuesSayWhatIsExpected) {
  EXPECT_THAT(error_of("http: {port: 70000}\nmodels: [{path: a}]"),
              HasSubstr("'port' is 70000, but must be between 0 and 65535"));
  EXPECT_THAT(error_of("http: {port: many}\nmodels: [{path: a}]"),
              HasSubstr("'port' must be a whole number"));
  EXPECT_THAT(error_of("models: [{path: a, batch: {policy: best}}]"),
              HasSubstr("must be one of adaptive, delay, size"));
  EXPECT_THAT(error_of("models: {path: a}"), HasSubstr("'models' must be a list"));
  EXPECT_THAT(error_of("models: [{name: x}]"), HasSubstr("'path' is missing"));
  EXPECT_THAT(error_of("- a\n"), HasSubstr("a mapping of keys to values is expected"));
  EXPECT_THAT(error_of("models: [{path: a, pad: {x: y}}]"),
              HasSubstr("'x' in 'pad' must be a number"));
}

TEST(Config, WarmUpKeysThatContradictEachOtherAreRefused) {
  EXPECT_THAT(error_of("models: [{path: a, warmup: {redact: zero}}]"),
              HasSubstr("'redact' is for what is recorded"));
  EXPECT_THAT(error_of("models: [{path: a, warmup: {enabled: false, record: true}}]"),
              HasSubstr("'enabled: false' leaves nothing to do"));
  EXPECT_THAT(error_of("pipelines: [{type: ocr, warmup: {budget: 7}}]"),
              HasSubstr("known here: budget_ms, enabled, record"));
  EXPECT_THAT(error_of("models: [{path: a, warmup: {tolerance: -1}}]"),
              HasSubstr("'tolerance' must be a number from 0"));
}

TEST(Config, NothingToServeIsAnError) {
  EXPECT_THAT(error_of("log_level: info\n"), HasSubstr("nothing to serve"));
}

TEST(Config, BrokenYamlNamesTheLine) {
  EXPECT_THAT(error_of("models: [\n"), HasSubstr("shop.yaml:2:1: not valid YAML"));
}

TEST(Config, SameNameTwiceIsAnError) {
  EXPECT_THAT(error_of("models: [{path: a, name: x}, {path: b, name: x}]"),
              HasSubstr("two models, pipelines or cascades are called 'x'"));
}

class ModelFolder : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("baozi_config_test_" + std::to_string(::getpid()));
    fs::remove_all(folder_);
    for (const char* file :
         {"text/1/model.onnx", "text/10/model.onnx", "text/2/weights.onnx", "image/1/model.onnx"}) {
      fs::create_directories((folder_ / file).parent_path());
      std::ofstream(folder_ / file) << "x";
    }
    std::ofstream(folder_ / "image" / "labels.txt") << "cat\n";
    fs::create_directories(folder_ / "empty");
  }
  void TearDown() override { fs::remove_all(folder_); }
  fs::path folder_;
};

TEST_F(ModelFolder, ServesEveryModelOfTritonsLayout) {
  const Config config = config_for(folder_);
  ASSERT_EQ(config.models.size(), 2u);
  EXPECT_EQ(config.models[0].name, "image");
  EXPECT_EQ(config.models[0].labels, folder_ / "image" / "labels.txt");
  EXPECT_EQ(config.models[1].name, "text");
}

TEST_F(ModelFolder, ListsVersionsInNumericOrder) {
  const auto versions = find_versions(folder_ / "text");
  ASSERT_EQ(versions.size(), 3u);
  EXPECT_EQ(versions[0].version, "1");
  EXPECT_EQ(versions[1].version, "2");
  EXPECT_EQ(versions[1].file.filename(), "weights.onnx");
  EXPECT_EQ(versions[2].version, "10");
}

TEST_F(ModelFolder, BareFileIsServedUnderItsStemOrTheGivenName) {
  EXPECT_EQ(config_for(folder_ / "text/2/weights.onnx").models.at(0).name, "weights");
  EXPECT_EQ(config_for(folder_ / "text/2/weights.onnx", "mine").models.at(0).name, "mine");
  EXPECT_EQ(config_for(folder_ / "text").models.at(0).name, "text");
}

TEST_F(ModelFolder, WhatIsNotThereIsSaid) {
  EXPECT_THROW(config_for(folder_ / "nowhere"), Error);
  EXPECT_THROW(config_for(folder_ / "empty"), Error);
  EXPECT_THROW(find_versions(folder_ / "empty"), Error);
}

TEST(Config, ReadsCascades) {
  const Config config = parse_config(
      "models: [{path: a}, {path: b}]\n"
      "cascades: [{name: c, small: a, large: b, threshold: 0.5, logits: true, fall_back: true},"
      " {name: d, small: c, large: b}]",
      "shop.yaml");
  ASSERT_EQ(config.cascades.size(), 2u);
  EXPECT_EQ(config.cascades[0].threshold, 0.5);
  EXPECT_TRUE(config.cascades[0].logits && config.cascades[0].fall_back);
  EXPECT_EQ(config.cascades[1].small, "c");
  EXPECT_FALSE(config.cascades[1].threshold);
}

TEST(Config, ReadsTheResponseCache) {
  const Config none = parse_config("models: [{path: a.onnx}]", "shop.yaml");
  EXPECT_FALSE(none.models[0].cache.on);
  EXPECT_EQ(none.cache.bytes_max, std::size_t{256} << 20);
  EXPECT_EQ(none.cache.redis, "");
  const Config config = parse_config(R"(
cache: {bytes_max: 1000, redis: "redis://:secret@host:7000/2", redis_timeout_ms: 5, redis_pull_max: 6, redis_pull_bytes_max: 7}
models:
  - {path: a.onnx, cache: true}
  - {path: b.onnx, cache: {ttl_s: 30}}
  - {path: c.onnx, cache: false}
pipelines:
  - {type: classify, cache: {}}
)",
                                     "shop.yaml");
  EXPECT_EQ(config.cache.bytes_max, 1000u);
  EXPECT_EQ(config.cache.redis, "redis://:secret@host:7000/2");
  EXPECT_EQ(config.cache.redis_timeout.count(), 5);
  EXPECT_EQ(config.cache.redis_pull_max, 6);
  EXPECT_EQ(config.cache.redis_pull_bytes_max, 7u);
  EXPECT_TRUE(config.models[0].cache.on);
  EXPECT_EQ(config.models[0].cache.ttl.count(), 600);
  EXPECT_EQ(config.models[1].cache.ttl.count(), 30);
  EXPECT_TRUE(config.models[1].cache.on);
  EXPECT_FALSE(config.models[2].cache.on);
  EXPECT_TRUE(config.pipelines[0].cache.on);
  EXPECT_THAT(error_of("models: [{path: a.onnx, cache: {ttl_s: 0}}]"), HasSubstr("between 1"));
  EXPECT_THAT(error_of("models: [{path: a.onnx, cache: [1]}]"), HasSubstr("true or false"));
  EXPECT_THAT(error_of("cache: {redis: \"rediss://x\"}\nmodels: [{path: a.onnx}]"),
              HasSubstr("shop.yaml:1:9: cache: the Redis URL asks for TLS"));
}

}  // namespace
}  // namespace baozi::serve
