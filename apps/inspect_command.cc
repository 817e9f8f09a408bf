#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <map>
#include <memory>
#include <string>

#include "apps/commands.h"
#include "apps/resources.h"
#include "baozi/engine/engine.h"
#include "baozi/engine/language.h"
#include "baozi/serve/config.h"
#include "baozi/serve/server.h"

namespace baozi::apps {
namespace {

std::string dims(const engine::TensorSpec& spec) {
  std::string text;
  for (std::size_t i = 0; i < spec.shape.rank(); ++i) {
    if (!text.empty()) text += ", ";
    const bool named = i < spec.dim_names.size() && !spec.dim_names[i].empty();
    text += spec.shape[i] >= 0 ? std::to_string(spec.shape[i]) : named ? spec.dim_names[i] : "any";
  }
  return "[" + text + "]";
}

void print_tensors(const char* title, const std::vector<engine::TensorSpec>& specs) {
  fmt::print("  {}\n", title);
  for (const engine::TensorSpec& spec : specs)
    fmt::print("    {:<32} {:<6} {}\n", spec.name, dtype_name(spec.dtype), dims(spec));
}

void print_metadata(const std::map<std::string, std::string>& metadata) {
  if (metadata.empty()) return;
  fmt::print("  metadata\n");
  for (const auto& [key, value] : metadata) {
    constexpr std::size_t kShown = 60;
    const std::string line = value.substr(0, value.find('\n'));
    fmt::print("    {:<32} {}{}\n", key, line.substr(0, kShown),
               line.size() > kShown || line.size() < value.size() ? " …" : "");
  }
}

double megabytes(std::size_t bytes) { return static_cast<double>(bytes) / 1e6; }

void inspect_language(const engine::LanguageFacts& facts) {
  fmt::print(
      "  memory     {:.1f} MB estimated: {:.1f} weights, {:.1f} KV memory, {:.1f} to compute\n",
      megabytes(facts.memory.total()), megabytes(facts.memory.weights), megabytes(facts.memory.kv),
      megabytes(facts.memory.compute));
  fmt::print("  model      {}, {} layers of {}, {} words, trained for {} tokens\n",
             facts.description, facts.layers, facts.embedding, facts.vocabulary,
             facts.context_trained);
  fmt::print("  chat       {}\n", facts.chat_template.empty() ? "no template" : "has a template");
  print_metadata(facts.metadata);
}

void inspect_version(const serve::ModelConfig& model, const serve::ModelVersion& version) {
  engine::Engine& engine =
      model.engine.empty() ? engine::engine_for(version.file) : engine::open_engine(model.engine);
  const auto print_head = [&] {
    fmt::print("{} version {}\n", model.name, version.version);
    fmt::print("  file       {} ({:.1f} MB)\n", version.file.string(),
               megabytes(std::filesystem::file_size(version.file)));
    fmt::print("  engine     {} {}\n", engine.name(), engine.version());
  };
  if (engine.of_language()) {
    const auto language = engine.load_language(version.file, {}, {});
    print_head();
    return inspect_language(language->facts());
  }
  const auto loaded = engine.load(version.file, model.options, {});
  print_head();
  fmt::print("  memory     {:.1f} MB estimated, weights and one instance\n",
             megabytes(loaded->memory_bytes()));
  fmt::print("  batching   {}\n", loaded->signature().batchable()
                                      ? "yes, along dimension 0"
                                      : "no: dimension 0 is not free everywhere");
  print_tensors("inputs", loaded->signature().inputs);
  print_tensors("outputs", loaded->signature().outputs);
  print_metadata(loaded->metadata());
}

int print_resources(const std::string& path) {
  serve::ready_registry();
  fmt::print("{}", format_resources(resources_of(serve::config_for(path)), path));
  return 0;
}

int inspect(const std::string& path, const std::string& name) {
  serve::ready_registry();
  const serve::Config config = serve::config_for(path);
  int shown = 0;
  for (const serve::ModelConfig& model : config.models) {
    if (!name.empty() && model.name != name) continue;
    for (const serve::ModelVersion& version : serve::find_versions(model.path)) {
      inspect_version(model, version);
      ++shown;
    }
  }
  if (shown == 0) throw Error(Code::kNotFound, fmt::format("no model '{}' in {}", name, path));
  return 0;
}

}  // namespace

void add_inspect(CLI::App& app, Command& chosen) {
  struct Options {
    std::string path;
    std::string name;
    bool resources = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("inspect", "Print a model's signature, memory estimate and engine");
  command
      ->add_option("model", options->path, "A model file, a folder of models, or a config (.yaml)")
      ->required();
  CLI::Option* name = command->add_option("--name", options->name, "Only this model");
  command
      ->add_flag("--resources", options->resources,
                 "What a container needs for all of it, as in a Kubernetes manifest")
      ->excludes(name);
  command->callback([options, &chosen] {
    chosen = [options] {
      return options->resources ? print_resources(options->path)
                                : inspect(options->path, options->name);
    };
  });
}

}  // namespace baozi::apps
