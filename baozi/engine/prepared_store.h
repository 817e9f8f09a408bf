// PreparedStore: what an engine made of a model, so that it loads quickly the next time: a folder
// of artefacts that all processes of a host share.
//
//   PreparedStore store({.folder = "/var/cache/baozi/prepared"}, warn);
//   const PreparedStore::Source source = store.source(model, find_others, stop);
//   const PreparedKey key{source.digest, "onnx 1.32.0", cpu_features(), "level=99"};
//   if (auto folder = store.find(key, stop)) return open(*folder / "model.onnx");
//   const auto write = [&](const fs::path& folder) { … write files there … };
//   store.make({key, model, source.bytes}, write, stop);
//
// An artefact is a folder named after its key, with a manifest that has the size and checksum of
// each file. It is made beside its place, flushed to the disk and moved there, so that a crash at
// any time leaves the old state; what is left over is removed by whoever makes the next one. One
// process of a host makes at a time, held by a lock on a file. Each file is read and compared with
// its checksum before it is first used; that this was done is noted with the files' stamps
// (file_stamp.h), and done again when one differs. docs/cold-start.md has the format, and
// docs/decisions/035-prepared-artefacts.md says why it may be trusted.
//
// Thread safety: all methods. They block. Several processes may share a folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "baozi/coro/stop.h"
#include "baozi/engine/engine.h"
#include "baozi/engine/prepared_record.h"

namespace baozi::engine {

class PreparedStore {
 public:
  // Gets what a person should know and nobody can be told otherwise: that a damaged artefact was
  // removed.
  using Warn = std::function<void(std::string_view)>;

  // The folder is made when something is. An empty one: there is nothing, and nothing can be made.
  explicit PreparedStore(PreparedOptions options, Warn warn = nullptr);

  // The model's content, by which artefacts are known, and the size of all its files. Read only
  // when a stamp has changed since, else two system calls a file. `others` lists the files that
  // belong to it, and is called only when they are read. Errors: kNotFound and kUnavailable for
  // files that cannot be read, those of `others`, those of `stop`.
  struct Source {
    std::string digest;
    std::uint64_t bytes = 0;
  };
  using FindOthers = std::function<std::vector<std::filesystem::path>()>;
  Source source(const std::filesystem::path& model, const FindOthers& others,
                const StopToken& stop) const;
  // Without reading: nothing when it is not remembered.
  std::optional<Source> remembered(const std::filesystem::path& model) const;

  // The folder of a sound artefact, which is marked as used. A damaged one is removed, with a
  // warning. Errors: those of `stop`.
  std::optional<std::filesystem::path> find(const PreparedKey& key, const StopToken& stop) const;
  // Whether there is one, without looking at its content.
  bool contains(const PreparedKey& key) const;
  // Whether there is one of any model whose files take so many bytes together: else none of them
  // need be read to know that there is none.
  bool has_of_size(std::uint64_t bytes) const;

  // Lets `write` fill a folder and keeps what it wrote, for bytes_max those used longest ago are
  // removed. Waits while another process makes something; nothing is written, and false returned,
  // when the artefact is there by then. Errors: kResourceExhausted (disk full, or it is larger than
  // bytes_max), kPermissionDenied, kUnavailable, those of `write` and of `stop`; nothing is left
  // of what could not be made.
  using Write = std::function<void(const std::filesystem::path& folder)>;
  struct Made {
    PreparedKey key;
    std::filesystem::path model;
    std::uint64_t model_bytes = 0;  // of all its files
  };
  bool make(const Made& what, const Write& write, const StopToken& stop) const;

  // Removes an artefact that turned out to be of no use, with a warning that says why.
  void drop(const PreparedKey& key, std::string_view why) const;

  struct Artefact {
    std::filesystem::path folder;
    PreparedManifest manifest;
    std::uint64_t bytes = 0;  // of all its files
    std::filesystem::file_time_type used;
  };
  // The one used last first.
  std::vector<Artefact> list() const;

  struct Pruned {
    std::size_t artefacts = 0;
    std::uint64_t bytes = 0;
  };
  // Removes what no `keep` says yes to, what is damaged or left over, and what is above bytes_max.
  // Errors: kPermissionDenied, kUnavailable.
  Pruned prune(const std::function<bool(const Artefact&)>& keep) const;

 private:
  class Lock;

  std::filesystem::path place_of(const PreparedKey& key) const;
  std::filesystem::path memo_of(const std::filesystem::path& model) const;
  void remember(const std::filesystem::path& memo, const SourceRecord& record) const;
  bool sound(const std::filesystem::path& folder, const PreparedManifest& manifest,
             const StopToken& stop) const;
  void remove_leftovers_locked() const;
  Pruned make_room_locked(std::uint64_t bytes) const;
  void remove(const std::filesystem::path& folder) const;
  void warn(std::string_view text) const;

  const PreparedOptions options_;
  const Warn warn_;
};

}  // namespace baozi::engine
