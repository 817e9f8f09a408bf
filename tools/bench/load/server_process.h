// What the system says about the server's process.
#pragma once

#include <cstdint>

namespace baozi::load {

// User and system time so far, in microseconds; 0 for pid 0. Throws std::runtime_error when there
// is no such process.
std::uint64_t cpu_us(int pid);
// Resident memory in bytes; 0 for pid 0.
std::uint64_t resident_bytes(int pid);

}  // namespace baozi::load
