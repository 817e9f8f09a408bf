// baozi-load: a load generator for HTTP servers with raw request bodies; prints its figures as one
// line of JSON.
//
//   baozi-load --url http://127.0.0.1:8000/v2/models/m/infer --body request.bin
//              --header "Inference-Header-Content-Length: 161" --connections 16 --server-pid 1234
//   baozi-load --mode held --url http://127.0.0.1:8000/wait --connections 10000
#include <sys/resource.h>
#include <CLI/CLI.hpp>

#include <cstdio>
#include <exception>
#include <fstream>
#include <sstream>
#include <string>

#include "tools/bench/load/load.h"

namespace {

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream bytes;
  bytes << file.rdbuf();
  return bytes.str();
}

void raise_file_limit() {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Loads an HTTP server and prints figures as JSON");
  std::string url;
  std::string body_file;
  std::string mode = "closed";
  std::string method;
  double duration = 10;
  double warm_up = 1;
  baozi::load::Options options;
  app.add_option("--url", url, "http://host:port/path")->required();
  app.add_option("--mode", mode,
                 "closed: N connections ask one after the other; held: N requests wait")
      ->check(CLI::IsMember({"closed", "held"}));
  app.add_option("--method", method, "default: POST with a body, else GET");
  app.add_option("--header", options.headers,
                 "\"Name: value\", sent with the body; may be repeated");
  app.add_option("--body", body_file, "a file with the request's body")->check(CLI::ExistingFile);
  app.add_option("-c,--connections", options.connections)->check(CLI::Range(1, 60'000));
  app.add_option("-d,--duration", duration, "seconds that are measured")
      ->check(CLI::PositiveNumber);
  app.add_option("--warm-up", warm_up, "seconds before, not counted")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--server-pid", options.server_pid, "whose CPU time and memory to report");
  app.add_option("--health-path", options.health_path, "asked meanwhile in held mode");
  CLI11_PARSE(app, argc, argv);
  try {
    raise_file_limit();
    options.target = baozi::load::parse_url(url);
    options.duration = std::chrono::duration<double>(duration);
    options.warm_up = std::chrono::duration<double>(warm_up);
    if (!body_file.empty()) options.body = read_file(body_file);
    options.method = !method.empty() ? method : body_file.empty() ? "GET" : "POST";
    const std::string figures =
        mode == "held" ? baozi::load::run_held(options) : baozi::load::run_closed(options);
    std::printf("%s\n", figures.c_str());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "baozi-load: %s\n", error.what());
    return 1;
  }
  return 0;
}
