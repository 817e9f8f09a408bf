// JSON from outside, as llama.cpp's common library holds it.
//
// Thread safety: free functions. Errors: kInvalidArgument, naming `name`.
#pragma once

#include <json.h>

#include <string>
#include <string_view>

namespace baozi::engine {

// Refuses what is nested so deeply that a recursive reader of it could exhaust the stack.
common_json read_json(std::string_view name, std::string_view text);
// Of a JSON schema, or what holds some: their names become rules of a grammar, so long ones are
// refused too.
common_json read_schema_json(std::string_view name, std::string_view text);
// How many braces and brackets are open at once, outside of strings.
int json_nesting(std::string_view text) noexcept;

// The first line of what the library says, without its prefixes, and not too long.
std::string brief(std::string_view message);

}  // namespace baozi::engine
