#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <string>

#include "apps/answer_words.h"
#include "apps/commands.h"
#include "apps/one_shot.h"
#include "baozi/api/kserve_format.h"
#include "baozi/api/kserve_parse.h"
#include "baozi/base/error.h"
#include "baozi/base/log.h"
#include "baozi/coro/sync_wait.h"

namespace baozi::apps {
namespace {

namespace fs = std::filesystem;

struct RunOptions {
  std::string path;
  std::string input;
  std::string name;
  bool timeline = false;
  AnswerOptions answer;  // of a language model, as raw
  bool raw = false;
};

std::string read_all(std::istream& stream) {
  return std::string((std::istreambuf_iterator<char>(stream)), {});
}

// The input's bytes: standard input for "-", a file's content, else the words themselves for a
// model that takes text.
std::string input_bytes(const std::string& input, const engine::Signature& signature) {
  if (input == "-") return read_all(std::cin);
  if (fs::is_regular_file(input)) {
    std::ifstream stream(input, std::ios::binary);
    return read_all(stream);
  }
  if (signature.inputs.size() == 1 && signature.inputs[0].dtype == DType::kBytes) return input;
  throw Error(Code::kNotFound, fmt::format("the input file {} does not exist", input));
}

bool is_json(const std::string& input) { return fs::path(input).extension() == ".json"; }

void print_timeline(const RequestTrace& trace) {
  for (const RequestTrace::Stage& stage : trace.stages()) {
    const auto us = [&](Time time) {
      return std::chrono::duration_cast<std::chrono::microseconds>(time - trace.start()).count();
    };
    fmt::print(stderr, "{:>10} us  {:>10} us  {}\n", us(stage.start),
               us(stage.end) - us(stage.start), stage.name);
  }
}

int run(const RunOptions& options) {
  log().set_level(spdlog::level::warn);  // the answer is what the user waits for
  OneShot models(options.path);
  if (const fs::path file = language_model(models.config(), options.name); !file.empty()) {
    const std::string words = options.input == "-" ? read_all(std::cin) : options.input;
    return answer_words(file, words, options.answer, options.raw);
  }
  const std::shared_ptr<model::Servable> servable = models.open(options.name);
  const std::string bytes = input_bytes(options.input, servable->signature());
  const bool json = is_json(options.input) || servable->signature().inputs.size() != 1;
  api::KserveInfer call = json
                              ? api::parse_kserve_infer(Bytes::copy_of(bytes), std::nullopt, 0)
                              : api::raw_kserve_infer(Bytes::copy_of(bytes), servable->signature());
  call.wishes.binary_by_default = false;
  call.request.model = servable->name();
  RequestTrace trace;
  Context context;
  context.trace = &trace;
  model::InferResponse response = sync_wait(servable->infer(std::move(call.request)), context);
  const api::KserveReply reply = api::format_kserve_infer(
      response, call.wishes, {&servable->labels(), servable->signature().batchable()});
  fmt::print("{}\n", reply.json);
  if (options.timeline) print_timeline(trace);
  return 0;
}

}  // namespace

void add_run(CLI::App& app, Command& chosen) {
  auto options = std::make_shared<RunOptions>();
  CLI::App* command =
      app.add_subcommand("run", "Answer one request and print it, without a server");
  command
      ->add_option("model", options->path, "A model file, a folder of models, or a config (.yaml)")
      ->required();
  command
      ->add_option("input", options->input,
                   "A KServe request (.json), or the content of the only input: a file, words, or "
                   "- for standard input. For a language model: the words to answer")
      ->required();
  command->add_option("--name", options->name, "Which model or pipeline, when there are several");
  command->add_flag("--timeline", options->timeline,
                    "Print the request's stages to standard error");
  add_answer_options(*command, options->answer);
  command
      ->add_flag("--raw", options->raw, "Go on with the words, without the model's chat template")
      ->group("Language models");
  command->footer(
      "Examples:\n"
      "  baozi run baozi.yaml --name classify photo.jpg\n"
      "  baozi run baozi.yaml --name embed 'steam before the doors open'\n"
      "  baozi run model.onnx request.json\n"
      "  baozi run chat.gguf 'What is a baozi?'");
  command->callback([options, &chosen] { chosen = [options] { return run(*options); }; });
}

}  // namespace baozi::apps
