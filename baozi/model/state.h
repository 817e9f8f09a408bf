// State: where a version of a model is on its way from a file to answers and back, and which steps
// of that way there are.
//
//   absent ─▶ opening ─▶ loading ─▶ warming ─▶ ready ─▶ draining ─▶ unloaded ─▶ absent | opening
//
// While it is on its way it may fail or be given up; what failed may be tried again. A version that
// is loaded anew while it serves stays ready: its successor takes its place in one step.
//
// Thread safety: free functions and values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace baozi::model {

enum class State : std::uint8_t {
  kAbsent,  // known; its turn to be loaded has not come, or it is loaded when asked for
  kOpening,
  kLoading,
  kWarming,
  kReady,
  kDraining,  // requests that run on it still end
  kUnloaded,  // on request
  kFailed
};
std::string_view state_name(State state) noexcept;  // "ABSENT", "LOADING", …

// Whether a version in state `from` may be in `to` next.
bool may_move(State from, State to) noexcept;

// Whether waiting may help: it is being brought up, or will be when it is asked for.
bool is_coming(State state) noexcept;

struct VersionStatus {
  std::string name = {};
  std::string version = {};
  State state = State::kAbsent;
  std::string reason = {};                 // why it failed; "" otherwise
  bool language = false;                   // a language model, as is known before it is loaded
  bool embeds = false;                     // makes vectors of texts, as is known before it is there
  std::vector<std::string> adapters = {};  // of a language model: names that stand for it, too
  bool on_demand = false;                  // absent until somebody asks for it
  double progress = 0;       // of the way to ready, in [0, 1], as far as can be estimated
  double seconds_left = -1;  // until it is ready, estimated; negative: nobody knows
};

// Of all that is known together.
enum class Readiness : std::uint8_t {
  kStarting,  // something is still on its way, or nothing is known yet
  kReady,     // everything is ready
  kDegraded,  // nothing is on its way any more; something is ready, something failed
  kFailed,    // nothing is ready, and nothing on its way
};
std::string_view readiness_name(Readiness readiness) noexcept;  // "starting", …

}  // namespace baozi::model
