// The small text files of a PreparedStore: lines of a word and what belongs to it, and as the last
// one a checksum, so that a file that is cut off or changed is known to be none.
//
//   std::string text = seal({{"model", digest}, {"file", "4096 model.onnx"}});
//   std::optional<RecordLines> lines = unseal(text);   // nothing when it is not whole
//
// Thread safety: free functions, and values.
// Format: docs/cold-start.md, "The store's files".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace baozi::engine {

struct RecordLine {
  std::string word;  // without spaces
  std::string rest;
  bool operator==(const RecordLine&) const = default;
};
using RecordLines = std::vector<RecordLine>;

// A line break in a `rest` becomes a '?': such a record matches nothing, and is whole.
std::string seal(const RecordLines& lines);
std::optional<RecordLines> unseal(std::string_view text);

// A file that an artefact consists of, or a model was read from.
struct FileEntry {
  std::string name;  // relative to the artefact, or a model's absolute path
  std::uint64_t size = 0;
  std::string checksum;  // 32 digits: XXH3's 128 bits of the content, or file_stamp()'s text
  bool operator==(const FileEntry&) const = default;
};

// What an artefact is valid for; all of it must be equal.
struct PreparedKey {
  std::string model;    // the digest of the model's files
  std::string engine;   // its name, and its library's version
  std::string machine;  // the processor's features
  std::string options;  // those that change what is made
  bool operator==(const PreparedKey&) const = default;
  // 32 digits, the name of the artefact's folder.
  std::string name() const;
};

struct PreparedManifest {
  PreparedKey key;
  std::string source;              // the model file it was made from, for people
  std::uint64_t source_bytes = 0;  // of all the model's files
  std::vector<FileEntry> files;
};
std::string format_manifest(const PreparedManifest& manifest);
// Nothing when it is not whole, of another version, or names files outside of the artefact.
std::optional<PreparedManifest> parse_manifest(std::string_view text);

// What is known of a model's files without reading them, as long as their stamps stay the same.
struct SourceRecord {
  std::string digest;
  std::uint64_t bytes = 0;       // of all files
  std::vector<FileEntry> files;  // the model first; `checksum` is the stamp
};
std::string format_source(const SourceRecord& record);
std::optional<SourceRecord> parse_source(std::string_view text);

}  // namespace baozi::engine
