// PrefixStore: the KV memory of beginnings that many requests share, on disk, so that a restarted
// server need not compute them again.
//
//   PrefixStore store(folder, "<model's fingerprint> f16", 1 << 30);
//   for (const PrefixStore::Branch& branch : store.branches())
//     if (auto bytes = store.read(branch)) context.restore(sequence, 0, size, bytes->view());
//   store.write(tokens, context.save(sequence, 0, size));
//
// A branch is a file, written beside its place and then moved there, with a checksum over all of
// it. A file that is damaged, cut off or of another model or version is not used; a damaged one is
// removed. The format is in docs/kv-files.md.
//
// Thread safety: all methods. They block. Several processes may share a folder.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "baozi/engine/language.h"

namespace baozi::llm {

class PrefixStore {
 public:
  // The folder is made when something is written. `key`: what the bytes are valid for. When the
  // files take more than `bytes_max`, those used longest ago are removed.
  PrefixStore(std::filesystem::path folder, std::string key, std::size_t bytes_max);

  struct Branch {
    std::filesystem::path file;
    std::vector<engine::Token> tokens;
  };
  // What there is for this key, the one used last first. Looks at the heads of the files only.
  std::vector<Branch> branches() const;

  // A mapped file's payload.
  class Bytes {
   public:
    Bytes(void* mapping, std::size_t mapped, std::size_t begin, std::size_t size) noexcept
        : mapping_(mapping), mapped_(mapped), begin_(begin), size_(size) {}
    ~Bytes();
    Bytes(Bytes&& other) noexcept;
    Bytes(const Bytes&) = delete;
    Bytes& operator=(const Bytes&) = delete;
    std::span<const std::byte> view() const noexcept {
      return {static_cast<const std::byte*>(mapping_) + begin_, size_};
    }

   private:
    void* mapping_;
    std::size_t mapped_;
    std::size_t begin_;
    std::size_t size_;
  };
  // Nothing for a file that is gone or damaged.
  std::optional<Bytes> read(const Branch& branch) const;
  void remove(const Branch& branch) const noexcept;

  // Errors: kResourceExhausted (disk full), kPermissionDenied and others of the file system.
  // Nothing is left of a file that could not be written.
  void write(std::span<const engine::Token> tokens, std::span<const std::byte> bytes) const;

 private:
  void make_room(std::size_t bytes) const;

  const std::filesystem::path folder_;
  const std::string key_;
  const std::size_t bytes_max_;
};

// A value that differs for models that differ: of the file's size, its head (metadata, vocabulary,
// shapes) and samples of its weights, without reading all of it. Errors: kNotFound.
std::string fingerprint(const std::filesystem::path& model);

}  // namespace baozi::llm
