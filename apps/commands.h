// The sub-commands of `baozi`, one file each. Each adds itself to the command line and returns what
// to run when chosen.
#pragma once

#include <functional>

namespace CLI {
class App;
}

namespace baozi::apps {

// The exit status of the process.
using Command = std::function<int()>;

// `chosen` is set to the command to run when the user names it.
void add_serve(CLI::App& app, Command& chosen);
void add_run(CLI::App& app, Command& chosen);
void add_chat(CLI::App& app, Command& chosen);
void add_inspect(CLI::App& app, Command& chosen);
void add_coldstart(CLI::App& app, Command& chosen);
void add_prepare(CLI::App& app, Command& chosen);
void add_steer(CLI::App& app, Command& chosen);
void add_steer_nginx(CLI::App& steer, Command& chosen);  // a sub-command of `steer`

}  // namespace baozi::apps
