// YamlReader: one mapping of a YAML file, read key by key; whatever was not asked for is an error
// that names file, line, column and the nearest known key. Values are checked as they are read.
//
// Thread safety: none; used by one thread while a config is loaded.
#pragma once

#include <yaml-cpp/yaml.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace baozi::serve {

class YamlReader {
 public:
  // `where` names the mapping in messages ("models[0]"). Throws unless `node` is a mapping (or
  // null: an empty one).
  YamlReader(YAML::Node node, std::filesystem::path file, std::string where);

  bool has(const std::string& key) const;
  bool has_mapping(const std::string& key);  // asks for the key, too
  std::string text(const std::string& key, const std::string& otherwise);
  std::string required_text(const std::string& key);
  // One of `choices`.
  std::string choice(const std::string& key, const std::string& otherwise,
                     const std::vector<std::string>& choices);
  std::int64_t integer(const std::string& key, std::int64_t otherwise, std::int64_t least,
                       std::int64_t most);
  double number(const std::string& key, double otherwise, double least, double most);
  bool boolean(const std::string& key, bool otherwise);  // true or false
  std::map<std::string, std::string> text_map(const std::string& key);
  std::map<std::string, double> number_map(const std::string& key);
  std::vector<std::string> text_list(const std::string& key);
  // A nested mapping; empty when absent.
  YamlReader child(const std::string& key);
  // A list of mappings; empty when absent.
  std::vector<YamlReader> children(const std::string& key);

  // Throws for the first key that none of the calls above asked for.
  void finish() const;

  // Throws Error kInvalidArgument "file:line:column: where: message", at the key when there is one.
  [[noreturn]] void fail(const std::string& message, const std::string& key = "") const;

 private:
  YAML::Node get(const std::string& key);
  [[noreturn]] void fail_at(const YAML::Mark& mark, const std::string& message) const;

  YAML::Node node_;
  std::filesystem::path file_;
  std::string where_;
  std::set<std::string> known_;
};

}  // namespace baozi::serve
