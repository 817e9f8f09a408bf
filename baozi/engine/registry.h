// The engines of this process: registered by code, or opened as plug-ins on first use (see
// plugin.h). open_engine() and engine_for() are declared in engine.h.
//
// Thread safety: all functions.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "baozi/engine/engine.h"

namespace baozi::engine {

// Makes an engine known under its name(). Throws Error kAlreadyExists when there is one of that
// name.
Engine& register_engine(std::unique_ptr<Engine> engine);

// The names known so far (registered, or opened), sorted.
std::vector<std::string> engine_names();

// Where plug-ins are looked for, in this order: $BAOZI_ENGINE_PATH (folders separated by colons),
// the folder of the executable, ../lib and ../lib/baozi beside it, the folder they are installed
// to.
std::vector<std::filesystem::path> engine_folders();

}  // namespace baozi::engine
