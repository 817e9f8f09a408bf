// Log: one process-wide spdlog logger, to standard error, coloured on a terminal only.
//
//   log().info("model {} is ready after {} ms", name, ms);
#pragma once

#include <spdlog/spdlog.h>

#include <string_view>

namespace baozi {

spdlog::logger& log() noexcept;

// "trace", "debug", "info", "warning", "error" or "off"; throws Error kInvalidArgument for anything
// else.
void set_log_level(std::string_view level);

}  // namespace baozi
