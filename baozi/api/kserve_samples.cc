#include "baozi/api/kserve_samples.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "baozi/api/json_reader.h"
#include "baozi/api/kserve_parse.h"

namespace baozi::api {
namespace {

using model::WarmupSample;

constexpr std::string_view kSpace = " \t\r\n";

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) + 1 - begin);
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    if (const std::string_view line = trimmed(text.substr(0, end)); !line.empty())
      lines.push_back(line);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  }
  return lines;
}

// Whether every line is an object of its own, and there are several.
bool one_a_line(const std::vector<std::string_view>& lines) {
  return lines.size() > 1 && std::ranges::all_of(lines, [](std::string_view line) {
           return line.starts_with('{') && line.ends_with('}');
         });
}

// Their texts, within `text`, behind which `spare` bytes can be read.
std::vector<std::string_view> split(std::string_view text, std::size_t spare) {
  if (!trimmed(text).starts_with('[')) {
    std::vector<std::string_view> lines = lines_of(text);
    return one_a_line(lines) ? lines : std::vector{text};
  }
  std::vector<std::string_view> parts;
  JsonText json(text, spare);
  for (auto item : json.array()) {
    if (parts.size() == kSamplesMax) {
      throw Error(Code::kInvalidArgument, fmt::format("it has more than {} samples", kSamplesMax));
    }
    ondemand::object sample = take_object(take(std::move(item)), "a sample");
    parts.push_back(take(sample.raw_json()));
  }
  json.finish();
  return parts;
}

struct Pair {
  std::string_view request;
  std::string_view response;
};

// What stands under "request" and "response"; the whole when there is no "request".
Pair pair_of(std::string_view text, std::size_t spare) {
  Pair pair;
  JsonText json(text, spare);
  for (auto item : json.object()) {
    ondemand::field field = take(std::move(item));
    const std::string_view key = take_key(field);
    if (key == "request") {
      pair.request = take(take_object(field.value(), "'request'").raw_json());
    } else if (key == "response") {
      pair.response = take(take_object(field.value(), "'response'").raw_json());
    }
  }
  json.finish();
  if (pair.request.empty() && !pair.response.empty()) {
    throw Error(Code::kInvalidArgument,
                "it has a 'response' but no 'request'; write {\"request\": …, \"response\": …}");
  }
  if (pair.request.empty()) pair.request = text;
  return pair;
}

Tensors expected_of(std::string_view response) {
  try {
    return parse_kserve_outputs(Bytes::copy_of(response));
  } catch (const Error& error) {
    throw Error(error.code(), fmt::format("in its response, {}", error.message()));
  }
}

WarmupSample read(std::string_view text, std::size_t spare) {
  const Pair pair = pair_of(text, spare);
  WarmupSample sample;
  sample.inputs = parse_kserve_infer(Bytes::copy_of(pair.request), std::nullopt, 0).request.inputs;
  if (!pair.response.empty()) sample.expected = expected_of(pair.response);
  return sample;
}

}  // namespace

std::vector<WarmupSample> parse_kserve_samples(std::string text, const std::string& file) {
  const std::size_t size = text.size();
  text.append(simdjson::SIMDJSON_PADDING, ' ');
  const std::string_view whole = std::string_view(text).substr(0, size);
  std::vector<WarmupSample> samples;
  try {
    for (const std::string_view part : split(whole, simdjson::SIMDJSON_PADDING)) {
      if (samples.size() == kSamplesMax) {
        throw Error(Code::kInvalidArgument,
                    fmt::format("it has more than {} samples", kSamplesMax));
      }
      const auto spare =
          static_cast<std::size_t>(text.data() + text.size() - part.data()) - part.size();
      samples.push_back(read(part, spare));
      samples.back().from = fmt::format("{}, sample {}", file, samples.size());
    }
  } catch (const Error& error) {
    throw Error(error.code(),
                fmt::format("{}, sample {}: {}", file, samples.size() + 1, error.message()));
  }
  return samples;
}

}  // namespace baozi::api
