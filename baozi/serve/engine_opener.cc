#include "baozi/serve/engine_opener.h"

#include <exception>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "baozi/coro/trace.h"
#include "baozi/engine/engine.h"
#include "baozi/serve/server.h"

namespace baozi::serve {
namespace {

// One file of each kind, and the engines that are named.
struct Wanted {
  std::set<std::string> engines;
  std::map<std::string, std::filesystem::path> files;  // by extension
};

Wanted wanted_by(const Config& config) {
  Wanted wanted;
  for (const ModelConfig& model : config.models) {
    if (!model.engine.empty()) {
      wanted.engines.insert(model.engine);
      continue;
    }
    try {
      const std::filesystem::path file = find_versions(model.path).front().file;
      wanted.files.try_emplace(file.extension().string(), file);
    } catch (const std::exception&) {
      continue;
    }
  }
  return wanted;
}

void open(const Wanted& wanted) {
  const auto attempt = [](const auto& action) {
    try {
      action();
    } catch (const std::exception&) {
      return;
    }
  };
  for (const std::string& name : wanted.engines) attempt([&] { engine::open_engine(name); });
  for (const auto& [extension, file] : wanted.files) attempt([&] { engine::engine_for(file); });
}

}  // namespace

EngineOpener::EngineOpener(const Config& config) {
  ready_registry();  // enters what is built in; while a library is being opened that would wait
  thread_ = std::thread([wanted = wanted_by(config)] {
    trace::set_thread_name("open");
    open(wanted);
  });
}

EngineOpener::~EngineOpener() { thread_.join(); }

}  // namespace baozi::serve
