#include "baozi/api/json_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>

namespace baozi::api {
namespace {

// A parser that has seen a larger document than this gives its memory back.
constexpr std::size_t kParserKeepMax = 1 << 20;
constexpr std::size_t kQuoteMax = 40;  // characters of the caller's text repeated in a message

struct ThreadParsers {
  std::array<ondemand::parser, JsonText::kNesting> parsers;
  std::size_t used = 0;
};

ThreadParsers& thread_parsers() {
  static thread_local ThreadParsers parsers;
  return parsers;
}

ondemand::parser& next_parser() {
  ThreadParsers& mine = thread_parsers();
  assert(mine.used < JsonText::kNesting);
  return mine.parsers[mine.used++];
}

std::string quote(ondemand::value& value) {
  const std::string_view raw = value.raw_json_token();
  if (raw.empty()) return "nothing";
  if (raw.front() == '[') return "a list";
  if (raw.front() == '{') return "an object";
  std::string_view text = raw.substr(0, raw.find_last_not_of(" \t\r\n") + 1);
  if (text.size() <= kQuoteMax) return std::string(text);
  text = text.substr(0, kQuoteMax);
  return std::string(text) + "…";
}

[[noreturn]] void throw_wrong_kind(ondemand::value value, std::string_view what,
                                   std::string_view wanted) {
  throw Error(Code::kInvalidArgument,
              fmt::format("{} must be {}, it is {}", what, wanted, quote(value)));
}

bool is_type(ondemand::value& value, ondemand::json_type wanted) {
  ondemand::json_type type{};
  return value.type().get(type) == simdjson::SUCCESS && type == wanted;
}

std::string_view accepts(DType dtype) {
  switch (dtype) {
    case DType::kBool:
      return "true or false";
    case DType::kUint8:
      return "whole numbers from 0 to 255";
    case DType::kUint16:
      return "whole numbers from 0 to 65535";
    case DType::kUint32:
      return "whole numbers from 0 to 4294967295";
    case DType::kUint64:
      return "whole numbers from 0 to 18446744073709551615";
    case DType::kInt8:
      return "whole numbers from -128 to 127";
    case DType::kInt16:
      return "whole numbers from -32768 to 32767";
    case DType::kInt32:
      return "whole numbers from -2147483648 to 2147483647";
    case DType::kInt64:
      return "whole numbers from -9223372036854775808 to 9223372036854775807";
    case DType::kFp16:
      return "finite numbers up to 65504";
    case DType::kBf16:
    case DType::kFp32:
      return "finite numbers up to 3.4e38";
    case DType::kFp64:
      return "finite numbers up to 1.8e308";
    case DType::kBytes:
      return "strings";
  }
  return "";
}

}  // namespace

void throw_bad_json(simdjson::error_code error) {
  throw Error(Code::kInvalidArgument, fmt::format("the request body is not valid JSON: {}",
                                                  simdjson::error_message(error)));
}

std::string_view take_string(ondemand::value value, std::string_view what) {
  std::string_view text;
  const simdjson::error_code error = value.get_string().get(text);
  if (error == simdjson::INCORRECT_TYPE) throw_wrong_kind(value, what, "a string");
  if (error) throw_bad_json(error);
  return text;
}

std::uint64_t take_uint(ondemand::value value, std::string_view what) {
  std::uint64_t number = 0;
  if (value.get_uint64().get(number)) throw_wrong_kind(value, what, "a whole number from 0 up");
  return number;
}

std::int64_t take_int(ondemand::value value, std::string_view what) {
  std::int64_t number = 0;
  if (value.get_int64().get(number)) throw_wrong_kind(value, what, "a whole number");
  return number;
}

double take_number(ondemand::value value, std::string_view what) {
  double number = 0;
  if (value.get_double().get(number)) throw_wrong_kind(value, what, "a number");
  return number;
}

bool take_bool(ondemand::value value, std::string_view what) {
  bool flag = false;
  if (value.get_bool().get(flag)) throw_wrong_kind(value, what, "true or false");
  return flag;
}

ondemand::array take_array(ondemand::value value, std::string_view what) {
  ondemand::array array;
  const simdjson::error_code error = value.get_array().get(array);
  if (error == simdjson::INCORRECT_TYPE) throw_wrong_kind(value, what, "a list");
  if (error) throw_bad_json(error);
  return array;
}

ondemand::object take_object(ondemand::value value, std::string_view what) {
  ondemand::object object;
  const simdjson::error_code error = value.get_object().get(object);
  if (error == simdjson::INCORRECT_TYPE) throw_wrong_kind(value, what, "an object");
  if (error) throw_bad_json(error);
  return object;
}

bool is_array(ondemand::value& value) { return is_type(value, ondemand::json_type::array); }
bool is_object(ondemand::value& value) { return is_type(value, ondemand::json_type::object); }
bool is_string(ondemand::value& value) { return is_type(value, ondemand::json_type::string); }
bool is_null(ondemand::value& value) {
  if (!is_type(value, ondemand::json_type::null)) return false;
  bool null = false;
  if (value.is_null().get(null) || !null) throw_bad_json(simdjson::N_ATOM_ERROR);  // "nul"
  return true;
}

JsonText::JsonText(std::string_view text, std::size_t spare) : parser_(next_parser()) {
  if (spare >= simdjson::SIMDJSON_PADDING) {
    view_ = simdjson::padded_string_view(text.data(), text.size(), text.size() + spare);
  } else {
    copy_ = simdjson::padded_string(text);
    view_ = copy_;
  }
  if (const simdjson::error_code error = parser_.iterate(view_).get(document_); error) {
    --thread_parsers().used;
    throw_bad_json(error);
  }
}

JsonText::~JsonText() {
  if (parser_.capacity() > kParserKeepMax) parser_ = ondemand::parser();
  --thread_parsers().used;
}

ondemand::object JsonText::object() {
  ondemand::object object;
  const simdjson::error_code error = document_.get_object().get(object);
  if (error == simdjson::INCORRECT_TYPE) {
    throw Error(Code::kInvalidArgument, "the request body must be a JSON object, {…}");
  }
  if (error) throw_bad_json(error);
  return object;
}

ondemand::array JsonText::array() { return take(document_.get_array()); }

void JsonText::finish() {
  // At the end there is no location; simdjson 3.0 has no other way to ask.
  if (document_.current_location().error() != simdjson::OUT_OF_BOUNDS) {
    throw_bad_json(simdjson::TRAILING_CONTENT);
  }
}

std::size_t JsonText::spare_behind(std::string_view part) const noexcept {
  const char* end = view_.data() + view_.size() + simdjson::SIMDJSON_PADDING;
  return static_cast<std::size_t>(end - (part.data() + part.size()));
}

void throw_bad_element(ondemand::value value, const ElementPlace& place, DType dtype) {
  throw Error(Code::kInvalidArgument,
              fmt::format("{} '{}': element {} is {}, {} takes {}", place.kind, place.name,
                          place.index, quote(value), dtype_name(dtype), accepts(dtype)));
}

bool read_bool_element(ondemand::value value, const ElementPlace& place) {
  switch (take(value.type())) {
    case ondemand::json_type::boolean: {
      bool flag = false;
      if (value.get_bool().get(flag) == simdjson::SUCCESS) return flag;
      break;
    }
    case ondemand::json_type::number: {  // Triton's clients in some languages send 0 and 1
      std::uint64_t number = 0;
      if (value.get_uint64().get(number) == simdjson::SUCCESS && number <= 1) return number == 1;
      break;
    }
    default:
      break;
  }
  throw_bad_element(value, place, DType::kBool);
}

void check_bools(std::string_view input_name, DType dtype, const Bytes& data) {
  if (dtype != DType::kBool) return;
  if (std::ranges::any_of(data.span(), [](std::byte b) { return b > std::byte{1}; })) {
    throw Error(Code::kInvalidArgument,
                fmt::format("input '{}': BOOL takes bytes of 0 and 1", input_name));
  }
}

void append_bytes_element(std::string& out, std::string_view text) {
  const auto length = static_cast<std::uint32_t>(text.size());
  char prefix[sizeof length];
  std::memcpy(prefix, &length, sizeof length);
  out.append(prefix, sizeof prefix);
  out.append(text);
}

}  // namespace baozi::api
