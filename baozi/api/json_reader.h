// JSON read with simdjson's on-demand parser: per-thread parsers, and element values checked for
// their type's range. Only the .cc files of this folder include this header.
//
// Thread safety: a JsonText belongs to one thread and never lives across a suspension.
//
//   JsonText json(body_text, spare_bytes_behind_it);
//   for (auto item : json.object()) {
//     ondemand::field field = take(item);
//     std::string_view key = take_key(field);
//     if (key == "id") id = take_string(field.value(), "id");
//   }
//   json.finish();
#pragma once

#include <simdjson.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "baozi/base/error.h"
#include "baozi/base/tensor.h"

namespace baozi::api {

namespace ondemand = simdjson::ondemand;

// Throws Error kInvalidArgument: "the request body is not valid JSON: …".
[[noreturn]] void throw_bad_json(simdjson::error_code error);

template <class T>
T take(simdjson::simdjson_result<T> result) {
  T value;
  if (const simdjson::error_code error = std::move(result).get(value); error) throw_bad_json(error);
  return value;
}

// The field's key, once. It is copied only when it has escapes.
inline std::string_view take_key(ondemand::field& field) {
  const char* const start = field.key().raw();
  const char* at = start;
  while (*at != '"' && *at != '\\') ++at;  // the parser has seen that the string ends
  if (*at == '"') return {start, static_cast<std::size_t>(at - start)};
  return take(field.unescaped_key());
}

// The value as a string, an unsigned number, … Errors: kInvalidArgument with `what` and what was
// found instead.
std::string_view take_string(ondemand::value value, std::string_view what);
std::uint64_t take_uint(ondemand::value value, std::string_view what);
std::int64_t take_int(ondemand::value value, std::string_view what);
double take_number(ondemand::value value, std::string_view what);
bool take_bool(ondemand::value value, std::string_view what);
ondemand::array take_array(ondemand::value value, std::string_view what);
ondemand::object take_object(ondemand::value value, std::string_view what);

// Whether the value is a list; false too for what is no JSON value at all.
bool is_array(ondemand::value& value);
bool is_object(ondemand::value& value);
bool is_string(ondemand::value& value);
bool is_null(ondemand::value& value);

// One document. Up to kNesting of them may live at a time on a thread (a part kept for later is
// read by its own).
class JsonText {
 public:
  static constexpr std::size_t kNesting = 2;

  // `spare` readable bytes follow `text`; with less than simdjson::SIMDJSON_PADDING the text is
  // copied.
  JsonText(std::string_view text, std::size_t spare);
  ~JsonText();
  JsonText(const JsonText&) = delete;
  JsonText& operator=(const JsonText&) = delete;

  // The document as an object or list. Errors: kInvalidArgument.
  ondemand::object object();
  ondemand::array array();
  // Throws Error kInvalidArgument when something follows the document.
  void finish();
  // The readable bytes behind `part`, which lies within this document.
  std::size_t spare_behind(std::string_view part) const noexcept;

 private:
  ondemand::parser& parser_;
  simdjson::padded_string copy_;
  simdjson::padded_string_view view_;
  ondemand::document document_;
};

// Where an element stands, for error messages.
struct ElementPlace {
  std::string_view kind;  // "input"
  std::string_view name;
  std::size_t index = 0;
};
[[noreturn]] void throw_bad_element(ondemand::value value, const ElementPlace& place, DType dtype);

bool read_bool_element(ondemand::value value, const ElementPlace& place);

// One element of a tensor. Errors: kInvalidArgument when it is of another kind or out of T's range.
template <class T>
T read_element(ondemand::value value, const ElementPlace& place) {
  constexpr DType dtype = dtype_of<T>();
  if constexpr (std::is_same_v<T, bool>) {
    return read_bool_element(value, place);
  } else if constexpr (std::is_integral_v<T>) {
    using Wide = std::conditional_t<std::is_same_v<T, std::uint64_t>, std::uint64_t, std::int64_t>;
    Wide wide = 0;
    if (value.get<Wide>().get(wide) || !std::in_range<T>(wide))
      throw_bad_element(value, place, dtype);
    return static_cast<T>(wide);
  } else {
    double wide = 0;
    if (value.get_double().get(wide)) throw_bad_element(value, place, dtype);
    if constexpr (std::is_same_v<T, double>) return wide;
    const auto narrow = static_cast<float>(wide);
    bool finite = std::isfinite(narrow);
    if constexpr (std::is_same_v<T, float>) {
      if (!finite) throw_bad_element(value, place, dtype);
      return narrow;
    } else if constexpr (std::is_same_v<T, Half>) {
      const Half half = to_half(narrow);
      if (!finite || !std::isfinite(to_float(half))) throw_bad_element(value, place, dtype);
      return half;
    } else if constexpr (std::is_same_v<T, BFloat16>) {
      const BFloat16 bfloat = to_bfloat16(narrow);
      if (!finite || !std::isfinite(to_float(bfloat))) throw_bad_element(value, place, dtype);
      return bfloat;
    }
  }
}

// Calls f with a value of the element type behind `dtype`; not for kBytes.
template <class F>
decltype(auto) with_element_type(DType dtype, F&& f) {
  switch (dtype) {
    case DType::kBool:
      return f(bool{});
    case DType::kUint8:
      return f(std::uint8_t{});
    case DType::kUint16:
      return f(std::uint16_t{});
    case DType::kUint32:
      return f(std::uint32_t{});
    case DType::kUint64:
      return f(std::uint64_t{});
    case DType::kInt8:
      return f(std::int8_t{});
    case DType::kInt16:
      return f(std::int16_t{});
    case DType::kInt32:
      return f(std::int32_t{});
    case DType::kInt64:
      return f(std::int64_t{});
    case DType::kFp16:
      return f(Half{});
    case DType::kBf16:
      return f(BFloat16{});
    case DType::kFp32:
      return f(float{});
    case DType::kFp64:
      return f(double{});
    case DType::kBytes:
      break;
  }
  throw Error(Code::kInternal, "BYTES has no fixed element type");
}

// Bytes of a BOOL tensor other than 0 and 1 are no bools. Errors: kInvalidArgument.
void check_bools(std::string_view input_name, DType dtype, const Bytes& data);

// Appends one element in the form of a BYTES tensor: 4-byte little-endian length, then the text.
void append_bytes_element(std::string& out, std::string_view text);

}  // namespace baozi::api
