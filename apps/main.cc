// baozi: the command. Reads the command line; the work is done by the library.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <exception>

#include "apps/commands.h"
#include "baozi/base/error.h"

namespace {

constexpr int kExitFailure = 1;
constexpr int kExitUsage = 2;

int report(const char* message) {
  const bool colour = ::isatty(STDERR_FILENO) != 0;
  std::fprintf(stderr, "%sbaozi:%s %s\n", colour ? "\033[1;31m" : "", colour ? "\033[0m" : "",
               message);
  return kExitFailure;
}

}  // namespace

int main(int argc, char** argv) {
  // ONNX Runtime's own builds keep a record of what is loaded, and send it off, unless told not to;
  // baozi does neither. Set while there is one thread only (see engine/onnx/onnx_runtime.cc).
  ::setenv("ORT_DISABLE_TELEMETRY", "1", 0);
  CLI::App app{
      "baozi: an inference server that is hot from the first request.\n"
      "Serves ONNX models and pipelines of them over KServe v2 and TensorFlow Serving's REST.",
      "baozi"};
  app.set_version_flag("--version", "baozi " BAOZI_VERSION);
  app.require_subcommand(1);
  app.footer(
      "Examples:\n"
      "  baozi serve model.onnx                 one model on "
      "http://127.0.0.1:8000/v2/models/model\n"
      "  baozi serve models/                    every models/NAME/VERSION/model.onnx\n"
      "  baozi serve baozi.yaml --http-port 9000\n"
      "  baozi run baozi.yaml --name classify photo.jpg\n"
      "  baozi chat model.gguf\n"
      "  baozi inspect model.onnx\n"
      "  baozi coldstart model.onnx             where the time of a start goes\n"
      "  baozi prepare baozi.yaml               make the next starts quicker\n"
      "  baozi steer haproxy --replica a:8000   a configuration for HAProxy\n"
      "  baozi steer nginx --replica a:8000 --output up.conf   an upstream that follows them");
  baozi::apps::Command command;
  baozi::apps::add_serve(app, command);
  baozi::apps::add_run(app, command);
  baozi::apps::add_chat(app, command);
  baozi::apps::add_inspect(app, command);
  baozi::apps::add_coldstart(app, command);
  baozi::apps::add_prepare(app, command);
  baozi::apps::add_steer(app, command);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kExitUsage;
  }
  try {
    return command();
  } catch (const baozi::Error& error) {
    return report(error.message().c_str());
  } catch (const std::exception& error) {
    return report(error.what());
  }
}
