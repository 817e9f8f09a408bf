// A request for text whose model is not there, answered with what is kept of it.
//
// Thread safety: free function.
#pragma once

#include <optional>
#include <string>

#include "baozi/api/openai_request.h"
#include "baozi/api/openai_text.h"
#include "baozi/coro/task.h"
#include "baozi/model/model_cache.h"

namespace baozi::api {

// Its answers, whole already, with a format that writes them; nothing when one of them, or what
// was noted of the request (openai_note.h), is not kept. Looks into the second tier, too. Counts
// hits, or nothing. `cache`, which outlives it, is that of the model; `version` is the model's. The
// adapter of the wishes is set.
Task<std::optional<TextCall>> find_kept(model::ModelCache* cache, std::string version, TextAsk ask);

}  // namespace baozi::api
