// What the parsers of OpenAI's requests share: the fields of a body one by one, the range of
// numbers, and the fields that every request for text may have. Only the openai_parse files include
// it.
//
// Thread safety: free functions.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "baozi/api/json_reader.h"
#include "baozi/api/openai_error.h"
#include "baozi/api/openai_request.h"

namespace baozi::api {

// Calls `read(key, value)` for each field of `object` that is not null. An Error of its own becomes
// one that names the field.
template <class Read>
void read_fields(ondemand::object object, Read&& read) {
  for (auto item : object) {
    ondemand::field field = take(std::move(item));
    const std::string_view key = take_key(field);
    try {
      ondemand::value value = field.value();
      if (!is_null(value)) read(key, value);
    } catch (const FieldError&) {
      throw;
    } catch (const Error& error) {
      throw FieldError(error.code(), key, error.message());
    }
  }
}

template <class Read>
void read_body(std::string_view body, std::size_t spare, Read&& read) {
  JsonText json(body, spare);
  read_fields(json.object(), std::forward<Read>(read));
  json.finish();
}

inline std::string quoted(std::string_view key) { return fmt::format("'{}'", key); }
[[noreturn]] inline void invalid(std::string message) {
  throw Error(Code::kInvalidArgument, std::move(message));
}

std::int64_t take_int_in(ondemand::value value, std::string_view key, std::int64_t min,
                         std::int64_t max);
double take_number_in(ondemand::value value, std::string_view key, double min, double max);
// The JSON text of an object or list.
std::string take_object_text(ondemand::value value, std::string_view key);
std::string take_array_text(ondemand::value value, std::string_view key);
engine::Token take_token(ondemand::value value, std::string_view key);

// Reads a field that any request for text may have; false: `key` is none.
bool read_wish(std::string_view key, ondemand::value value, TextWishes& wishes);
// "response_format" of chat completions and completions, "text.format" of responses: sets
// `json_schema`.
void read_response_format(ondemand::object format, TextWishes& wishes);
// Throws FieldError when fields that exclude each other were given.
void check_wishes(const TextWishes& wishes);

}  // namespace baozi::api
