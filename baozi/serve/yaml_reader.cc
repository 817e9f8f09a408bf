#include "baozi/serve/yaml_reader.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "baozi/base/error.h"

namespace baozi::serve {
namespace {

// Levenshtein's distance, for "did you mean".
std::size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = std::exchange(row[j], std::min({replaced, row[j] + 1, row[j - 1] + 1}));
    }
  }
  return row.back();
}

std::string suggestion(const std::string& key, const std::set<std::string>& known) {
  const std::string* best = nullptr;
  std::size_t least = 3;
  for (const std::string& candidate : known) {
    const std::size_t distance = edit_distance(key, candidate);
    if (distance < least) {
      least = distance;
      best = &candidate;
    }
  }
  return best != nullptr ? fmt::format("did you mean '{}'?", *best)
                         : fmt::format("known here: {}", fmt::join(known, ", "));
}

}  // namespace

YamlReader::YamlReader(YAML::Node node, std::filesystem::path file, std::string where)
    : node_(std::move(node)), file_(std::move(file)), where_(std::move(where)) {
  if (node_.IsDefined() && !node_.IsNull() && !node_.IsMap())
    fail_at(node_.Mark(), "a mapping of keys to values is expected here");
}

void YamlReader::fail_at(const YAML::Mark& mark, const std::string& message) const {
  const std::string place = where_.empty() ? "" : where_ + ": ";
  if (mark.is_null())
    throw Error(Code::kInvalidArgument, fmt::format("{}: {}{}", file_.string(), place, message));
  throw Error(Code::kInvalidArgument, fmt::format("{}:{}:{}: {}{}", file_.string(), mark.line + 1,
                                                  mark.column + 1, place, message));
}

void YamlReader::fail(const std::string& message, const std::string& key) const {
  if (!key.empty() && node_.IsMap()) {
    for (const auto& entry : node_) {
      if (entry.first.as<std::string>("") == key) fail_at(entry.first.Mark(), message);
    }
  }
  fail_at(node_.IsDefined() ? node_.Mark() : YAML::Mark::null_mark(), message);
}

YAML::Node YamlReader::get(const std::string& key) {
  known_.insert(key);
  // A const look-up: yaml-cpp's other one inserts.
  const YAML::Node& node = node_;
  if (node.IsMap()) {
    YAML::Node value = node[key];
    if (value.IsDefined()) return value;
  }
  return YAML::Node(YAML::NodeType::Undefined);  // node[key] of a missing key throws when it is
                                                 // asked anything else
}

bool YamlReader::has(const std::string& key) const {
  return node_.IsMap() && node_[key].IsDefined();
}

bool YamlReader::has_mapping(const std::string& key) {
  const YAML::Node value = get(key);
  return value.IsDefined() && value.IsMap();
}

std::string YamlReader::text(const std::string& key, const std::string& otherwise) {
  const YAML::Node value = get(key);
  if (!value.IsDefined() || value.IsNull()) return otherwise;
  if (!value.IsScalar()) fail(fmt::format("'{}' must be a text", key), key);
  return value.Scalar();
}

std::string YamlReader::required_text(const std::string& key) {
  const std::string value = text(key, "");
  if (value.empty()) fail(fmt::format("'{}' is missing", key), key);
  return value;
}

std::string YamlReader::choice(const std::string& key, const std::string& otherwise,
                               const std::vector<std::string>& choices) {
  const std::string value = text(key, otherwise);
  if (std::ranges::find(choices, value) == choices.end()) {
    fail(fmt::format("'{}' is '{}', but must be one of {}", key, value, fmt::join(choices, ", ")),
         key);
  }
  return value;
}

std::int64_t YamlReader::integer(const std::string& key, std::int64_t otherwise, std::int64_t least,
                                 std::int64_t most) {
  const YAML::Node value = get(key);
  if (!value.IsDefined() || value.IsNull()) return otherwise;
  std::int64_t number = 0;
  const bool quoted = value.Tag() == "!";
  if (quoted || !YAML::convert<std::int64_t>::decode(value, number)) {
    fail(fmt::format("'{}' must be a whole number", key), key);
  }
  if (number < least || number > most) {
    fail(fmt::format("'{}' is {}, but must be between {} and {}", key, number, least, most), key);
  }
  return number;
}

bool YamlReader::boolean(const std::string& key, bool otherwise) {
  const YAML::Node value = get(key);
  if (!value) return otherwise;
  const bool quoted = value.Tag() == "!";
  if (!value.IsScalar() || quoted || (value.Scalar() != "true" && value.Scalar() != "false"))
    fail("must be true or false", key);
  return value.Scalar() == "true";
}

std::map<std::string, std::string> YamlReader::text_map(const std::string& key) {
  std::map<std::string, std::string> values;
  const YAML::Node value = get(key);
  if (!value.IsDefined() || value.IsNull()) return values;
  if (!value.IsMap()) fail(fmt::format("'{}' must be a mapping of names to values", key), key);
  for (const auto& entry : value) {
    if (!entry.second.IsScalar())
      fail_at(entry.second.Mark(),
              fmt::format("'{}' in '{}' must be a single value", entry.first.Scalar(), key));
    values[entry.first.Scalar()] = entry.second.Scalar();
  }
  return values;
}

double YamlReader::number(const std::string& key, double otherwise, double least, double most) {
  const YAML::Node value = get(key);
  if (!value.IsDefined() || value.IsNull()) return otherwise;
  double number = 0;
  const bool good = value.IsScalar() && YAML::convert<double>::decode(value, number);
  if (!good || !(number >= least && number <= most))
    fail(fmt::format("'{}' must be a number from {} to {}", key, least, most), key);
  return number;
}

std::map<std::string, double> YamlReader::number_map(const std::string& key) {
  std::map<std::string, double> numbers;
  const YAML::Node value = get(key);
  if (!value.IsDefined() || value.IsNull()) return numbers;
  if (!value.IsMap()) fail(fmt::format("'{}' must be a mapping of names to numbers", key), key);
  for (const auto& entry : value) {
    double number = 0;
    if (!entry.second.IsScalar() || !YAML::convert<double>::decode(entry.second, number)) {
      fail_at(entry.second.Mark(),
              fmt::format("'{}' in '{}' must be a number", entry.first.Scalar(), key));
    }
    numbers[entry.first.Scalar()] = number;
  }
  return numbers;
}

std::vector<std::string> YamlReader::text_list(const std::string& key) {
  std::vector<std::string> values;
  const YAML::Node value = get(key);
  if (!value.IsDefined() || value.IsNull()) return values;
  if (!value.IsSequence()) fail(fmt::format("'{}' must be a list", key), key);
  for (const YAML::Node& item : value) {
    if (!item.IsScalar()) fail_at(item.Mark(), fmt::format("'{}' must be a list of texts", key));
    values.push_back(item.Scalar());
  }
  return values;
}

YamlReader YamlReader::child(const std::string& key) {
  return YamlReader(get(key), file_, where_.empty() ? key : where_ + "." + key);
}

std::vector<YamlReader> YamlReader::children(const std::string& key) {
  std::vector<YamlReader> readers;
  const YAML::Node value = get(key);
  if (!value.IsDefined() || value.IsNull()) return readers;
  if (!value.IsSequence())
    fail(fmt::format("'{}' must be a list; begin each item with '- '", key), key);
  for (std::size_t i = 0; i < value.size(); ++i) {
    readers.emplace_back(value[i], file_,
                         fmt::format("{}{}[{}]", where_.empty() ? "" : where_ + ".", key, i));
  }
  return readers;
}

void YamlReader::finish() const {
  if (!node_.IsMap()) return;
  for (const auto& entry : node_) {
    const std::string key = entry.first.Scalar();
    if (!known_.contains(key))
      fail_at(entry.first.Mark(),
              fmt::format("unknown key '{}'; {}", key, suggestion(key, known_)));
  }
}

}  // namespace baozi::serve
