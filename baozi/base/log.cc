#include "baozi/base/log.h"

#include <fmt/format.h>
#include <spdlog/sinks/stdout_color_sinks.h>

#include <memory>
#include <string>

#include "baozi/base/error.h"

namespace baozi {

spdlog::logger& log() noexcept {
  // Leaked on purpose: threads may log while static objects are being destroyed.
  static auto* logger = [] {
    auto* made =
        new spdlog::logger("baozi", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
    made->set_pattern("%H:%M:%S.%e %^%-7l%$ %v");
    made->flush_on(spdlog::level::info);
    return made;
  }();
  return *logger;
}

void set_log_level(std::string_view level) {
  const spdlog::level::level_enum parsed = spdlog::level::from_str(std::string(level));
  if (parsed == spdlog::level::off && level != "off") {
    throw Error(
        Code::kInvalidArgument,
        fmt::format("log level '{}' is not one of trace, debug, info, warning, error, off", level));
  }
  log().set_level(parsed);
}

}  // namespace baozi
