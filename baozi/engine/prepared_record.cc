#include "baozi/engine/prepared_record.h"

#include <fmt/format.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <charconv>

namespace baozi::engine {
namespace {

constexpr std::string_view kChecksum = "checksum";
constexpr std::string_view kManifestHead = "baozi-prepared";
constexpr std::string_view kSourceHead = "baozi-model";
constexpr std::string_view kVersion = "1";
constexpr std::size_t kTextMax = 1 << 20;
constexpr std::size_t kDigits = 32;

std::string line_of(const RecordLine& line) {
  std::string rest = line.rest;
  std::ranges::replace(rest, '\n', '?');
  return fmt::format("{} {}\n", line.word, rest);
}

std::string checksum_line(std::string_view text) {
  return fmt::format("{} {:016x}\n", kChecksum, XXH3_64bits(text.data(), text.size()));
}

bool is_digest(std::string_view text) {
  return text.size() == kDigits && std::ranges::all_of(text, [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

// A file of the artefact's own folder.
bool is_plain_name(std::string_view name) {
  return !name.empty() && name.front() != '.' && name.find('/') == std::string_view::npos &&
         name.find('\0') == std::string_view::npos;
}

// Takes the text up to the next space off the front of `text`.
std::string_view take_word(std::string_view& text) {
  const std::size_t space = std::min(text.find(' '), text.size());
  const std::string_view word = text.substr(0, space);
  text.remove_prefix(std::min(space + 1, text.size()));
  return word;
}

bool take_number(std::string_view& text, std::uint64_t& number) {
  const std::string_view word = take_word(text);
  const auto [end, failed] = std::from_chars(word.data(), word.data() + word.size(), number);
  return !word.empty() && failed == std::errc() && end == word.data() + word.size();
}

// "SIZE CHECKSUM NAME"; the name may hold spaces, a checksum none.
std::string entry_text(const FileEntry& entry) {
  return fmt::format("{} {} {}", entry.size, entry.checksum, entry.name);
}

bool parse_entry(std::string_view text, FileEntry& entry) {
  if (!take_number(text, entry.size)) return false;
  entry.checksum = take_word(text);
  entry.name = text;
  return !entry.checksum.empty() && !entry.name.empty();
}

bool has_head(const RecordLines& lines, std::string_view head) {
  return !lines.empty() && lines[0].word == head && lines[0].rest == kVersion;
}

}  // namespace

std::string seal(const RecordLines& lines) {
  std::string text;
  for (const RecordLine& line : lines) text += line_of(line);
  return text + checksum_line(text);
}

std::optional<RecordLines> unseal(std::string_view text) {
  const std::size_t size = kChecksum.size() + 1 + 16 + 1;
  if (text.size() < size || text.size() > kTextMax) return std::nullopt;
  std::string_view body = text.substr(0, text.size() - size);
  if (text.substr(body.size()) != checksum_line(body)) return std::nullopt;
  RecordLines lines;
  while (!body.empty()) {
    const std::size_t end = body.find('\n');
    if (end == std::string_view::npos) return std::nullopt;
    std::string_view line = body.substr(0, end);
    body.remove_prefix(end + 1);
    if (line.find(' ') == std::string_view::npos) return std::nullopt;
    const std::string_view word = take_word(line);
    if (word.empty()) return std::nullopt;
    lines.push_back({std::string(word), std::string(line)});
  }
  return lines;
}

std::string PreparedKey::name() const {
  const std::string text = seal({{"version", std::string(kVersion)},
                                 {"model", model},
                                 {"engine", engine},
                                 {"machine", machine},
                                 {"options", options}});
  const XXH128_hash_t hash = XXH3_128bits(text.data(), text.size());
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

std::string format_manifest(const PreparedManifest& manifest) {
  RecordLines lines{{std::string(kManifestHead), std::string(kVersion)},
                    {"model", manifest.key.model},
                    {"engine", manifest.key.engine},
                    {"machine", manifest.key.machine},
                    {"options", manifest.key.options},
                    {"source", manifest.source},
                    {"bytes", std::to_string(manifest.source_bytes)}};
  for (const FileEntry& file : manifest.files) lines.push_back({"file", entry_text(file)});
  return seal(lines);
}

std::optional<PreparedManifest> parse_manifest(std::string_view text) {
  const std::optional<RecordLines> lines = unseal(text);
  if (!lines || !has_head(*lines, kManifestHead)) return std::nullopt;
  PreparedManifest manifest;
  for (const auto& [word, rest] : *lines) {
    if (word == "model") manifest.key.model = rest;
    if (word == "engine") manifest.key.engine = rest;
    if (word == "machine") manifest.key.machine = rest;
    if (word == "options") manifest.key.options = rest;
    if (word == "source") manifest.source = rest;
    std::string_view left = rest;
    if (word == "bytes" && !take_number(left, manifest.source_bytes)) return std::nullopt;
    if (word != "file") continue;
    FileEntry entry;
    if (!parse_entry(rest, entry) || !is_digest(entry.checksum) || !is_plain_name(entry.name))
      return std::nullopt;
    manifest.files.push_back(std::move(entry));
  }
  if (!is_digest(manifest.key.model) || manifest.files.empty()) return std::nullopt;
  return manifest;
}

std::string format_source(const SourceRecord& record) {
  RecordLines lines{{std::string(kSourceHead), std::string(kVersion)},
                    {"digest", record.digest},
                    {"bytes", std::to_string(record.bytes)}};
  for (const FileEntry& file : record.files) lines.push_back({"file", entry_text(file)});
  return seal(lines);
}

std::optional<SourceRecord> parse_source(std::string_view text) {
  const std::optional<RecordLines> lines = unseal(text);
  if (!lines || !has_head(*lines, kSourceHead)) return std::nullopt;
  SourceRecord record;
  for (const auto& [word, rest] : *lines) {
    std::string_view left = rest;
    if (word == "digest") record.digest = rest;
    if (word == "bytes" && !take_number(left, record.bytes)) return std::nullopt;
    if (word != "file") continue;
    FileEntry entry;
    if (!parse_entry(rest, entry) || entry.name.front() != '/') return std::nullopt;
    record.files.push_back(std::move(entry));
  }
  if (!is_digest(record.digest) || record.files.empty()) return std::nullopt;
  return record;
}

}  // namespace baozi::engine
