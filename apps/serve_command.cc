#include <CLI/CLI.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "apps/commands.h"
#include "baozi/base/cold_start.h"
#include "baozi/base/log.h"
#include "baozi/serve/config.h"
#include "baozi/serve/server.h"

namespace baozi::apps {
namespace {

struct ServeOptions {
  std::string path;
  std::string name;
  std::optional<std::string> host;
  std::optional<std::uint16_t> http_port;
  std::optional<std::string> log_level;
  std::vector<std::string> plugins;
};

int serve(const ServeOptions& options) {
  std::optional<cold_start::Phase> phase(std::in_place, "config");
  serve::Config config = serve::config_for(options.path, options.name);
  if (options.host) config.http.host = *options.host;
  if (options.http_port) config.http.port = *options.http_port;
  if (options.log_level) config.log_level = *options.log_level;
  for (const std::string& plugin : options.plugins) config.plugins.emplace_back(plugin);
  set_log_level(config.log_level);
  phase.emplace("listen");
  serve::Server server(std::move(config));
  phase.reset();
  return server.run();
}

}  // namespace

void add_serve(CLI::App& app, Command& chosen) {
  auto options = std::make_shared<ServeOptions>();
  CLI::App* command =
      app.add_subcommand("serve", "Serve models and pipelines over HTTP until SIGTERM or Ctrl-C");
  command
      ->add_option("path", options->path,
                   "A model file (.onnx), a folder of models (MODEL/VERSION/model.onnx), or a "
                   "config (.yaml)")
      ->required();
  command->add_option("--name", options->name,
                      "Name of a single model [default: the file's name without extension]");
  command->add_option("--host", options->host, "Address to listen on [default: 127.0.0.1]");
  command->add_option("--http-port", options->http_port,
                      "Port to listen on; 0 takes a free one [default: 8000]");
  command->add_option("--plugin", options->plugins,
                      "Shared library with pipelines of yours; may be repeated");
  command->add_option("--log-level", options->log_level,
                      "trace, debug, info, warning, error or off [default: info]");
  command->footer(
      "After the start, see http://127.0.0.1:8000/ for what the server answers.\n"
      "SIGTERM drains: ready goes false, requests in flight finish, the exit status is 0.");
  command->callback([options, &chosen] { chosen = [options] { return serve(*options); }; });
}

}  // namespace baozi::apps
