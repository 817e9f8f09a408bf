#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "apps/commands.h"
#include "apps/prepared_list.h"
#include "baozi/base/clock.h"
#include "baozi/base/error.h"
#include "baozi/engine/engine.h"
#include "baozi/serve/config.h"
#include "baozi/serve/server.h"
#include "baozi/serve/written_folders.h"

namespace baozi::apps {
namespace {

struct PrepareOptions {
  std::string path;
  std::string name;
  std::string folder;
  int layers = 0;  // 0: what the config says
  bool list = false;
  bool prune = false;
  bool all = false;
};

struct Target {
  const serve::ModelConfig& model;
  serve::ModelVersion version;
  int layers = 0;

  engine::ModelOptions options() const {
    engine::ModelOptions options = model.options;
    if (layers > 0) options.layers = layers;
    return options;
  }
};

double milliseconds(Duration span) {
  return std::chrono::duration<double, std::milli>(span).count();
}

// What is being done, on a terminal, until the line about it is printed.
class Progress {
 public:
  explicit Progress(std::string text) : shown_(::isatty(STDERR_FILENO) != 0) {
    if (shown_) fmt::print(stderr, "\r\033[K{}", text);
  }
  ~Progress() {
    if (shown_) fmt::print(stderr, "\r\033[K");
  }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

 private:
  const bool shown_;
};

double load_ms(engine::Engine& engine, const Target& target, const engine::PreparedOptions& from) {
  engine::ModelOptions options = target.options();
  options.prepared = from;
  const Time start = Clock::now();
  engine.load(target.version.file, options, {})->await_loaded({});
  return milliseconds(Clock::now() - start);
}

struct Outcome {
  engine::Preparation made;
  double took_ms = 0;
  double before_ms = 0;  // of a load
  double after_ms = 0;
};

Outcome prepare_version(const Target& target, const engine::PreparedOptions& where) {
  engine::Engine& engine = target.model.engine.empty() ? engine::engine_for(target.version.file)
                                                       : engine::open_engine(target.model.engine);
  engine::ModelOptions options = target.options();
  options.prepared = where;
  Outcome outcome;
  const Time start = Clock::now();
  outcome.made = engine.prepare(target.version.file, options, {});
  outcome.took_ms = milliseconds(Clock::now() - start);
  if (outcome.made.state == engine::Preparation::State::kNone) return outcome;
  outcome.before_ms = load_ms(engine, target, {});
  outcome.after_ms = load_ms(engine, target, where);
  return outcome;
}

std::string label_of(const Target& target) {
  return fmt::format("{} version {}", target.model.name, target.version.version);
}

void print(const Target& target, const Outcome& outcome) {
  using State = engine::Preparation::State;
  if (outcome.made.state == State::kNone) {
    fmt::print("{:<32} not prepared: {}\n", label_of(target), outcome.made.why);
    return;
  }
  const bool made = outcome.made.state == State::kMade;
  fmt::print("{:<32} {}{}, {:.1f} MB; loads in {:.0f} ms instead of {:.0f}\n", label_of(target),
             made ? fmt::format("made in {:.0f} ms", outcome.took_ms) : "was there",
             outcome.made.layers > 1 ? fmt::format(" in {} parts", outcome.made.layers) : "",
             static_cast<double>(outcome.made.bytes) / 1e6, outcome.after_ms, outcome.before_ms);
}

std::vector<Target> targets_of(const serve::Config& config, const PrepareOptions& options) {
  std::vector<Target> targets;
  for (const serve::ModelConfig& model : config.models) {
    if (!options.name.empty() && model.name != options.name) continue;
    for (serve::ModelVersion& version : serve::find_versions(model.path))
      targets.push_back({model, std::move(version), options.layers});
  }
  if (targets.empty()) {
    throw Error(Code::kNotFound,
                options.name.empty()
                    ? fmt::format("{} has no models", options.path)
                    : fmt::format("no model '{}' in {}", options.name, options.path));
  }
  return targets;
}

// One that fails does not keep the others from it; the exit status tells.
int prepare_all(const serve::Config& config, const PrepareOptions& options,
                const engine::PreparedOptions& where) {
  serve::ready_registry();
  const std::vector<Target> targets = targets_of(config, options);
  int status = 0;
  for (std::size_t i = 0; i < targets.size(); ++i) {
    try {
      Outcome outcome;
      {
        const Progress progress(
            fmt::format("preparing {} of {}: {}", i + 1, targets.size(), label_of(targets[i])));
        outcome = prepare_version(targets[i], where);
      }
      print(targets[i], outcome);
      std::fflush(stdout);
      const bool refused = outcome.made.state != engine::Preparation::State::kNone &&
                           targets[i].options().layers > outcome.made.layers;
      if (refused) {
        fmt::print(stderr, "baozi: {}: {}\n", label_of(targets[i]), outcome.made.why);
        status = 1;
      }
    } catch (const Error& error) {
      fmt::print(stderr, "baozi: {} is not prepared: {}\n", label_of(targets[i]), error.message());
      status = 1;
    }
  }
  return status;
}

int prepare(const PrepareOptions& options) {
  std::signal(SIGXFSZ, SIG_IGN);  // a file that gets too large is an error as any other
  serve::Config config;
  if (!options.path.empty()) config = serve::config_for(options.path);
  engine::PreparedOptions where = config.prepared;
  if (!options.folder.empty()) where.folder = std::filesystem::absolute(options.folder);
  if (where.folder.empty()) {
    throw Error(Code::kFailedPrecondition,
                "there is no folder for prepared artefacts: the config says off, or neither "
                "XDG_CACHE_HOME nor HOME is set; name one with --folder");
  }
  if (options.list) return list_prepared(where);
  if (options.prune) return prune_prepared(where, options.all, serve::written_folders(config));
  return prepare_all(config, options, where);
}

}  // namespace

void add_prepare(CLI::App& app, Command& chosen) {
  auto options = std::make_shared<PrepareOptions>();
  CLI::App* command = app.add_subcommand(
      "prepare", "Make what lets models load quickly from now on, in every process of this host");
  CLI::Option* path = command->add_option(
      "model", options->path,
      "A model file, a folder of models, or a config (.yaml); with --list and --prune only to say "
      "which store is meant");
  command->add_option("--name", options->name, "Only this model");
  command->add_option("--folder", options->folder,
                      "Where it is kept [default: the config's, else baozi/prepared in the user's "
                      "cache folder]");
  command
      ->add_option("--layers", options->layers,
                   "Split ONNX models into so many parts, which load one after the other while the "
                   "first ones compute; serve them with the same `layers` in the config [default: "
                   "the config's, else 1]")
      ->check(CLI::Range(1, engine::kLayersMax));
  CLI::Option* list = command->add_flag("--list", options->list, "Print what there is");
  CLI::Option* prune = command->add_flag(
      "--prune", options->prune,
      "Remove what is of no use any more: its model is gone or changed, or it is damaged");
  command->add_flag("--all", options->all, "With --prune: remove everything")->needs(prune);
  list->excludes(prune);
  command->footer(
      "Servers prepare what they load in the background, so that this is needed only where the "
      "first\nstart must be quick, such as in an image. What is made suits this processor and this "
      "version\nof the engine; others make their own. The exit status is 1 when a model could not "
      "be prepared.\n\n"
      "Examples:\n"
      "  baozi prepare model.onnx\n"
      "  baozi prepare baozi.yaml --folder /srv/prepared\n"
      "  baozi prepare model.onnx --layers 4\n"
      "  baozi prepare --list\n"
      "  baozi prepare --prune --all");
  command->callback([options, path, list, prune, &chosen] {
    if (path->empty() && list->empty() && prune->empty())
      throw CLI::RequiredError("model, --list or --prune");
    chosen = [options] { return prepare(*options); };
  });
}

}  // namespace baozi::apps
