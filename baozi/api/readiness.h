// What the server says of its own start: /health, /readiness/stages and /v2/coldstart.
//
// Thread safety: free functions.
#pragma once

#include <span>
#include <string>

#include "baozi/base/cold_start.h"
#include "baozi/model/state.h"

namespace baozi::api {

// Of all models together, as /health and the others say it.
struct Progress {
  double done = 1;           // in [0, 1]
  double seconds_left = -1;  // negative: nobody knows; 0: nothing is coming
  std::string phase;         // "loading resnet"; "": nothing is on its way
};
Progress progress_of(std::span<const model::VersionStatus> index);

// {"status":"starting","phase":"loading resnet","progress":0.4,"seconds_left":2.1,"models":[…]};
// `status` is for a human and for scripts: "starting", "ready", "degraded", "failed", "draining".
std::string format_health(std::string_view status, std::span<const model::VersionStatus> index);

// {"ready":false,"residual_delay_s":2.1,"stages":[{"name":"resnet/1","state":"LOADING",…},…]}: each
// model is a stage. The names are those of vLLM's proposal.
std::string format_stages(bool ready, std::span<const model::VersionStatus> index);

// The waterfall in milliseconds since exec: {"ready_ms":…,"first_answer_ms":…,"phases":[{"name":
// "load","subject":"resnet/1","start_ms":…,"end_ms":…},…]}, by start; null: not yet.
std::string format_cold_start(const cold_start::Record& record);
// The same for Prometheus: seconds of each phase, the first of its name and subject.
std::string render_cold_start(const cold_start::Record& record);

// baozi_model_state{model,version,state}: 1 for the state that a version is in, no row for others.
std::string render_states(std::span<const model::VersionStatus> index);

}  // namespace baozi::api
