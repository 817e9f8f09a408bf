#include "baozi/api/openai_fields.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <span>

namespace baozi::api {
namespace {

using engine::Sampling;

constexpr int kTokensMax = 1 << 30;              // of "max_tokens" and the like
constexpr int kPenaltyWindowMax = 1'000'000;     // tokens
constexpr int kPriorityMax = 1'000'000;          // up and down
constexpr double kBiasRange = 100;               // OpenAI's
constexpr std::size_t kClientBytesMax = 1024;    // of "user"
constexpr std::size_t kStopBytesMax = 64 << 10;  // of one stop string
constexpr std::string_view kAnyObject = R"({"type":"object"})";

struct NumberField {
  std::string_view key;
  float Sampling::* member;
  double min, max;
};
constexpr NumberField kNumbers[] = {
    {"temperature", &Sampling::temperature, 0, 2},
    {"top_p", &Sampling::top_p, 0, 1},
    {"min_p", &Sampling::min_p, 0, 1},
    {"repeat_penalty", &Sampling::repetition_penalty, 0.01, 100},
    {"presence_penalty", &Sampling::presence_penalty, -2, 2},
    {"frequency_penalty", &Sampling::frequency_penalty, -2, 2},
};

bool read_number(std::string_view key, ondemand::value value, Sampling& sampling) {
  const auto* const field = std::ranges::find(kNumbers, key, &NumberField::key);
  if (field == std::end(kNumbers)) return false;
  sampling.*field->member = static_cast<float>(take_number_in(value, key, field->min, field->max));
  return true;
}

std::string take_stop(ondemand::value value) {
  const std::string_view text = take_string(value, "a stop string");
  if (text.empty()) invalid("a stop string must not be empty");
  if (text.size() > kStopBytesMax)
    invalid(fmt::format("a stop string has at most {} bytes", kStopBytesMax));
  return std::string(text);
}

void read_stops(ondemand::value value, std::vector<std::string>& stops) {
  stops.clear();
  if (!is_array(value)) return stops.push_back(take_stop(value));
  for (auto item : take_array(value, "'stop'")) {
    if (stops.size() == kStopsMax)
      invalid(fmt::format("'stop' has at most {} stop strings", kStopsMax));
    stops.push_back(take_stop(take(std::move(item))));
  }
}

// llama-server's false stands for "never".
float take_bias(ondemand::value value) {
  ondemand::json_type type = take(value.type());
  if (type == ondemand::json_type::boolean && !take_bool(value, "a bias"))
    return -std::numeric_limits<float>::infinity();
  return static_cast<float>(take_number_in(value, "logit_bias", -kBiasRange, kBiasRange));
}

void add_bias(Sampling& sampling, engine::Token token, float bias) {
  if (sampling.bias.size() == kBiasMax)
    invalid(fmt::format("'logit_bias' has at most {} entries", kBiasMax));
  sampling.bias.emplace_back(token, bias);
}

// OpenAI's {"15043":-100}
void read_bias_object(ondemand::object object, Sampling& sampling) {
  for (auto item : object) {
    ondemand::field field = take(std::move(item));
    const std::string_view key = take_key(field);
    engine::Token token = 0;
    const std::from_chars_result read = std::from_chars(key.data(), key.data() + key.size(), token);
    if (read.ec != std::errc() || read.ptr != key.data() + key.size() || token < 0)
      invalid(fmt::format("'logit_bias' takes token numbers as keys, not '{}'", key));
    add_bias(sampling, token, take_bias(field.value()));
  }
}

// llama-server's [[15043,-1.5],[9,false]]
void read_bias_list(ondemand::array list, Sampling& sampling) {
  for (auto item : list) {
    std::size_t count = 0;
    engine::Token token = 0;
    for (auto part : take_array(take(std::move(item)), "an entry of 'logit_bias'")) {
      ondemand::value value = take(std::move(part));
      if (count == 0) token = take_token(value, "logit_bias");
      if (count == 1) add_bias(sampling, token, take_bias(value));
      ++count;
    }
    if (count != 2) invalid("an entry of 'logit_bias' is [token, bias]");
  }
}

void read_bias(ondemand::value value, Sampling& sampling) {
  sampling.bias.clear();
  if (is_array(value)) {
    read_bias_list(take_array(value, "'logit_bias'"), sampling);
  } else {
    read_bias_object(take_object(value, "'logit_bias'"), sampling);
  }
}

llm::Overflow take_overflow(ondemand::value value) {
  const std::string_view name = take_string(value, "'overflow'");
  if (name == "refuse") return llm::Overflow::kRefuse;
  if (name == "truncate") return llm::Overflow::kTruncate;
  if (name == "shift") return llm::Overflow::kShift;
  invalid(fmt::format("'overflow' is \"refuse\", \"truncate\" or \"shift\", not \"{}\"", name));
}

// -1: what the window holds.
int take_tokens(ondemand::value value, std::string_view key) {
  const auto tokens = static_cast<int>(take_int_in(value, key, -1, kTokensMax));
  if (tokens == 0) invalid(fmt::format("{} must be at least 1", quoted(key)));
  return tokens;
}

void read_stream_options(ondemand::value value, TextWishes& wishes) {
  for (auto item : take_object(value, "'stream_options'")) {
    ondemand::field field = take(std::move(item));
    const std::string_view key = take_key(field);
    ondemand::value option = field.value();
    if (key == "include_usage" && !is_null(option))
      wishes.include_usage = take_bool(option, "'include_usage'");
  }
}

// llama-server's fields beside OpenAI's.
bool read_extension(std::string_view key, ondemand::value value, TextWishes& wishes) {
  llm::CompletionRequest& completion = wishes.completion;
  Sampling& sampling = completion.sampling;
  if (key == "top_k") {
    sampling.top_k = std::max(0, static_cast<int>(take_int_in(value, key, -1, kTokensMax)));
  } else if (key == "repeat_last_n") {
    const auto last = static_cast<int>(take_int_in(value, key, -1, kPenaltyWindowMax));
    sampling.penalty_window = last < 0 ? kPenaltyWindowMax : last;
  } else if (key == "ignore_eos") {
    completion.ignore_end = take_bool(value, quoted(key));
  } else if (key == "grammar") {
    sampling.grammar = take_string(value, quoted(key));
  } else if (key == "json_schema") {
    wishes.json_schema = take_object_text(value, key);
  } else if (key == "cache_prompt") {
    (void)take_bool(value, quoted(key));  // what was read is always kept
  } else if (key == "priority") {
    completion.priority = static_cast<int>(take_int_in(value, key, -kPriorityMax, kPriorityMax));
  } else if (key == "overflow") {
    completion.overflow = take_overflow(value);
  } else {
    return false;
  }
  return true;
}

// What the on-demand parser passes over is not looked at: this looks at all of it.
std::string checked(std::string_view json) {
  simdjson::dom::parser parser;
  if (const simdjson::error_code error = parser.parse(json.data(), json.size()).error(); error)
    throw_bad_json(error);
  return std::string(json);
}

}  // namespace

std::int64_t take_int_in(ondemand::value value, std::string_view key, std::int64_t min,
                         std::int64_t max) {
  const std::int64_t number = take_int(value, quoted(key));
  if (number < min || number > max)
    invalid(fmt::format("'{}' must be from {} to {}, it is {}", key, min, max, number));
  return number;
}

double take_number_in(ondemand::value value, std::string_view key, double min, double max) {
  const double number = take_number(value, quoted(key));
  if (!(number >= min && number <= max))
    invalid(fmt::format("'{}' must be from {} to {}, it is {}", key, min, max, number));
  return number;
}

std::string take_object_text(ondemand::value value, std::string_view key) {
  return checked(take(take_object(value, quoted(key)).raw_json()));
}

std::string take_array_text(ondemand::value value, std::string_view key) {
  return checked(take(take_array(value, quoted(key)).raw_json()));
}

engine::Token take_token(ondemand::value value, std::string_view key) {
  return static_cast<engine::Token>(
      take_int_in(value, key, 0, std::numeric_limits<engine::Token>::max()));
}

bool read_wish(std::string_view key, ondemand::value value, TextWishes& wishes) {
  if (read_number(key, value, wishes.completion.sampling)) return true;
  if (key == "model") {
    wishes.model = take_string(value, quoted(key));
  } else if (key == "max_tokens" || key == "max_completion_tokens" || key == "n_predict") {
    wishes.completion.max_tokens = take_tokens(value, key);
  } else if (key == "n") {
    wishes.n = static_cast<int>(take_int_in(value, key, 1, kChoicesMax));
  } else if (key == "stop") {
    read_stops(value, wishes.completion.stops);
  } else if (key == "seed") {
    // Any 64-bit number: the generator takes the lower half.
    wishes.seed = static_cast<std::uint32_t>(take_int(value, quoted(key)));
  } else if (key == "logit_bias") {
    read_bias(value, wishes.completion.sampling);
  } else if (key == "user") {
    const std::string_view user = take_string(value, quoted(key));
    if (user.size() > kClientBytesMax)
      invalid(fmt::format("'user' has at most {} bytes", kClientBytesMax));
    wishes.completion.client = user;
  } else if (key == "stream") {
    wishes.stream = take_bool(value, quoted(key));
  } else if (key == "stream_options") {
    read_stream_options(value, wishes);
  } else if (key == "response_format") {
    read_response_format(take_object(value, quoted(key)), wishes);
  } else {
    return read_extension(key, value, wishes);
  }
  return true;
}

// {"type":"json_schema","json_schema":{"schema":{…}}}; in responses, and from llama-server's
// clients, "schema" stands beside "type".
void read_response_format(ondemand::object format, TextWishes& wishes) {
  std::string type;
  std::string schema;
  for (auto item : format) {
    ondemand::field field = take(std::move(item));
    const std::string_view key = take_key(field);
    ondemand::value part = field.value();
    if (is_null(part)) continue;
    if (key == "type") {
      type = take_string(part, "the format's 'type'");
    } else if (key == "schema") {
      schema = take_object_text(part, key);
    } else if (key == "json_schema") {
      for (auto inner : take_object(part, "'json_schema'")) {
        ondemand::field nested = take(std::move(inner));
        const std::string_view name = take_key(nested);
        if (name == "schema") schema = take_object_text(nested.value(), name);
      }
    }
  }
  if (type == "text") return;
  if (type == "json_object") {
    wishes.json_schema = schema.empty() ? std::string(kAnyObject) : std::move(schema);
  } else if (type == "json_schema") {
    if (schema.empty()) invalid("the format is \"json_schema\", but there is no 'schema' in it");
    wishes.json_schema = std::move(schema);
  } else {
    invalid(fmt::format(
        "the format's 'type' is \"text\", \"json_object\" or \"json_schema\", not \"{}\"", type));
  }
}

void check_wishes(const TextWishes& wishes) {
  if (!wishes.json_schema.empty() && !wishes.completion.sampling.grammar.empty()) {
    throw FieldError("grammar",
                     "'grammar' and a JSON schema both say what the answer must look like; give "
                     "one of them");
  }
  if (wishes.include_usage && !wishes.stream)
    throw FieldError("stream_options", "'stream_options' needs \"stream\": true");
}

}  // namespace baozi::api
