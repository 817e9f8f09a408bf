// For the tests of the built-in pipelines: servables that do what a test says, and files in a
// folder of their own.
#pragma once

#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "baozi/base/error.h"
#include "baozi/coro/thread_pool.h"
#include "baozi/model/servable.h"
#include "baozi/pipeline/builtin/builtin.h"

namespace baozi::pipeline::testing {

// Answers by a function, on the caller's thread, and counts.
class Scripted final : public model::Servable {
 public:
  using Answer = std::function<Tensors(const Tensors& inputs)>;

  Scripted(std::string name, engine::Signature signature, Answer answer)
      : name_(std::move(name)), signature_(std::move(signature)), answer_(std::move(answer)) {}

  const std::string& name() const noexcept override { return name_; }
  const std::string& version() const noexcept override { return version_; }
  std::string_view platform() const noexcept override { return "scripted"; }
  const engine::Signature& signature() const noexcept override { return signature_; }
  const std::vector<std::string>& labels() const noexcept override { return labels_; }
  const model::Origin& origin() const noexcept override { return origin_; }
  bool ready() const noexcept override { return true; }
  model::Statistics statistics() const override { return {}; }
  Task<model::InferResponse> infer(model::InferRequest request) override {
    const Context& context = co_await this_context();
    throw_if_stopped(context.stop);
    ++runs;
    model::InferResponse response;
    response.outputs = answer_(request.inputs);
    co_return response;
  }

  Scripted& with_labels(std::vector<std::string> labels) {
    return labels_ = std::move(labels), *this;
  }
  Scripted& with_origin(model::Origin origin) { return origin_ = std::move(origin), *this; }

  std::atomic<int> runs{0};

 private:
  const std::string name_, version_ = "1";
  const engine::Signature signature_;
  const Answer answer_;
  std::vector<std::string> labels_;
  model::Origin origin_;
};

// A folder that goes with its object.
class TestFolder {
 public:
  TestFolder() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "baozi-builtin-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw Error(Code::kInternal, "no temporary folder");
    path_ = pattern;
  }
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;
  ~TestFolder() { std::filesystem::remove_all(path_); }

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path write(const std::string& name, std::string_view text) const {
    std::filesystem::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name, std::ios::binary) << text;
    return path_ / name;
  }

 private:
  std::filesystem::path path_;
};

}  // namespace baozi::pipeline::testing
