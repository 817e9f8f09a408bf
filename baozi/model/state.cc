#include "baozi/model/state.h"

#include <array>

namespace baozi::model {
namespace {

using enum State;

struct Move {
  State from;
  State to;
};

// The only ones there are.
constexpr std::array kMoves = {
    Move{kAbsent, kOpening},
    Move{kOpening, kLoading},
    Move{kLoading, kWarming},
    Move{kWarming, kReady},
    Move{kReady, kDraining},
    Move{kDraining, kUnloaded},
    Move{kUnloaded, kAbsent},
    Move{kUnloaded, kOpening},
    // Without a step between: a pipeline has no file to read, and warm-up may be off.
    Move{kOpening, kReady},
    Move{kLoading, kReady},
    // What goes wrong, and is tried again.
    Move{kAbsent, kFailed},
    Move{kOpening, kFailed},
    Move{kLoading, kFailed},
    Move{kWarming, kFailed},
    Move{kFailed, kOpening},
    Move{kFailed, kAbsent},
    // Given up before it served.
    Move{kAbsent, kUnloaded},
    Move{kOpening, kUnloaded},
    Move{kLoading, kUnloaded},
    Move{kWarming, kUnloaded},
    Move{kFailed, kUnloaded},
};

}  // namespace

bool may_move(State from, State to) noexcept {
  for (const Move& move : kMoves) {
    if (move.from == from && move.to == to) return true;
  }
  return false;
}

bool is_coming(State state) noexcept {
  return state == kAbsent || state == kOpening || state == kLoading || state == kWarming;
}

std::string_view state_name(State state) noexcept {
  switch (state) {
    case State::kAbsent:
      return "ABSENT";
    case State::kOpening:
      return "OPENING";
    case State::kLoading:
      return "LOADING";
    case State::kWarming:
      return "WARMING";
    case State::kReady:
      return "READY";
    case State::kDraining:
      return "DRAINING";
    case State::kUnloaded:
      return "UNLOADED";
    case State::kFailed:
      return "FAILED";
  }
  return "UNKNOWN";
}

std::string_view readiness_name(Readiness readiness) noexcept {
  switch (readiness) {
    case Readiness::kStarting:
      return "starting";
    case Readiness::kReady:
      return "ready";
    case Readiness::kDegraded:
      return "degraded";
    case Readiness::kFailed:
      return "failed";
  }
  return "unknown";
}

}  // namespace baozi::model
