// Bytes of resident memory that a task costs while it waits to run, for baozi and its peers.
#pragma once

#include <string>

namespace baozi::bench {

// Spawns kTasks tasks that are all alive at once, in a fresh process for each peer; keeps the
// growth of the resident set.
void measure_memory();
// Per task; of "baozi", "asio", "tbb" or "taskflow".
double bytes_per_task(const std::string& who);

}  // namespace baozi::bench
