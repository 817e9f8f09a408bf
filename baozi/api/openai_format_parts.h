// What the formats of OpenAI's answers share. Only the openai_format files include it.
//
// Thread safety: free functions.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "baozi/api/openai_format.h"

namespace baozi::api {

// ,"usage":{…}
void append_usage(std::string& out, const llm::CompletionUsage& usage);
// "id":"<prefix><id>","object":"<object>","created":…,"model":"…"
void append_head(std::string& out, const AnswerHead& head, std::string_view prefix,
                 std::string_view object);
// [{"token":…,"logprob":…,"bytes":[…],"top_logprobs":[…]},…]
void append_chances(std::string& out, std::span<const llm::TokenChances> chances,
                    const Interpreter& interpreter);
// JSON has no infinity: an impossible token's is OpenAI's -9999.
void append_log(std::string& out, float log);
std::string_view finish_name(llm::Finish finish) noexcept;

// How a stream of either ends: with an event for the usage, when it is wanted, or for an error.
std::string last_events(const AnswerHead& head, std::string_view prefix, std::string_view object,
                        const llm::CompletionUsage* usage);
std::string error_events(const Error& error);

// The event behind `out`, with the "data: " of server-sent events.
void append_event(std::string& out, std::string_view json);

}  // namespace baozi::api
