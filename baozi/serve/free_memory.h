// How much memory this process could still take without the system, or its container, running out.
//
// Thread safety: free functions.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace baozi::serve {

// Bytes: what Linux says is available (/proc/meminfo), or what the control group and those above it
// leave, counting cached files as free, whichever is least. Nothing when the system does not tell.
std::optional<std::uint64_t> free_memory();

// As free_memory(), from other places; for tests.
std::optional<std::uint64_t> free_memory(const std::filesystem::path& proc,
                                         const std::filesystem::path& groups);

}  // namespace baozi::serve
