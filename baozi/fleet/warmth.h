// Warmth: how far this replica is from answering as fast as it can, and how busy it is. The one
// record that health pages, metrics and balancers are told from.
//
// Thread safety: values and free functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace baozi::fleet {

enum class ReplicaState : std::uint8_t {
  kStarting,  // something is still on its way
  kReady,
  kDegraded,  // something is ready, something failed
  kFailed,    // nothing is ready, and nothing on its way
  kDraining   // asked to end; it still answers
};
std::string_view replica_state_name(ReplicaState state) noexcept;  // "starting", …

struct Warmth {
  ReplicaState state = ReplicaState::kStarting;
  double warmth = 0;         // in [0, 1]; 1: all that is served has been proved
  double seconds_left = -1;  // until ready, estimated; 0: nothing is coming; negative: nobody knows
  int queue = 0;             // requests that wait for an instance, or for their model to come
  int in_flight = 0;         // inference requests that wait or run
  double utilisation = 0;    // share of the cores that were busy over the last seconds, or of
                             // the requests that a language model runs at once
  double answered = 0;       // inference requests a second, over the last seconds
  double failed = 0;         // those of them that failed by no fault of the caller's
  double kv_cache = -1;      // share of a language model's KV memory in use; negative: none
};

// {"state":"starting","warmth":0.420,"seconds_left":1.25,"queue":3,"in_flight":5,
// "utilisation":0.810}; null: nobody knows.
std::string format_warmth(const Warmth& warmth);

// The same as gauges, in Prometheus' text format: baozi_warmth, baozi_state{state=…} (0 or 1),
// baozi_queue, baozi_utilisation, and baozi_seconds_to_ready while it is known.
std::string render_warmth(const Warmth& warmth);

}  // namespace baozi::fleet
