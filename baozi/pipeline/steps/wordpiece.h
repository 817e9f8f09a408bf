// BERT's tokenizer: text to token ids, the same ids as Hugging Face's `tokenizers` gives.
//
// Clean-up, CJK spacing, accents and lower case as in its normalizers/bert.rs, words as in
// pre_tokenizers/bert.rs, pieces as in models/wordpiece, special tokens in the text ("[SEP]") as
// added tokens that are not normalised.
//
//   const Wordpiece tokenizer = Wordpiece::from_file("minilm/tokenizer.json");
//   // ids, mask, types: i64 [N,S]
//   Wordpiece::Batch batch = tokenizer.encode_batch(texts, {.tokens_max = 256});
//
// Thread safety: immutable once built; all const methods from any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "baozi/base/tensor.h"

namespace baozi::pipeline {

struct WordpieceOptions {
  bool clean_text = true;     // drop control characters, every white space is a space
  bool split_chinese = true;  // every CJK ideograph is a word
  bool lowercase = true;
  bool strip_accents = true;
  std::size_t word_chars_max = 100;  // a longer word is unknown
  std::string continuation = "##";   // before a piece that does not begin a word
  std::string unknown = "[UNK]";
  std::string begin = "[CLS]";
  std::string end = "[SEP]";
  std::string padding = "[PAD]";
};

struct EncodeOptions {
  std::size_t tokens_max =
      512;  // with the two special tokens; what is longer is cut at the end. At least 2
  std::size_t multiple_of =
      1;  // a batch's width is rounded up to a multiple of this, at most tokens_max
};

class Wordpiece {
 public:
  using Added = std::pair<std::string, std::int64_t>;
  struct Batch {
    Tensor ids, mask,
        types;  // i64 [N,S]; S is the longest text's length; mask 1 for tokens, 0 for padding
  };

  // One token a line; the line's number from 0 is its id. The five usual special tokens that occur
  // are found in texts too. Throws Error kInvalidArgument when a special token of `options` is
  // missing.
  static Wordpiece from_vocab(std::string_view vocab, WordpieceOptions options = {});
  // Hugging Face's tokenizer.json; its truncation and padding settings are left aside, they are the
  // caller's. Throws Error kInvalidArgument when it is malformed, kUnimplemented when it is no BERT
  // WordPiece tokenizer.
  static Wordpiece from_json(std::string_view json);
  // By its extension .txt or .json. Throws Error kNotFound when it cannot be read; else as those
  // two, naming the file.
  static Wordpiece from_file(const std::filesystem::path& path,
                             WordpieceOptions vocab_options = {});

  std::size_t vocabulary_size() const noexcept { return pieces_.size(); }

  // [CLS] pieces [SEP]. Throws Error kInvalidArgument when `text` is not UTF-8 (with the byte's
  // offset), or tokens_max is below 2.
  std::vector<std::int64_t> encode(std::string_view text, const EncodeOptions& options = {}) const;
  // As encode, naming the text's index in errors; also kInvalidArgument for no texts at all.
  Batch encode_batch(std::span<const std::string_view> texts, const EncodeOptions& options = {},
                     Allocator& allocator = heap_allocator()) const;

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept {
      return std::hash<std::string_view>()(text);
    }
  };
  using Vocabulary = std::unordered_map<std::string, std::int64_t, Hash, std::equal_to<>>;

  Wordpiece(Vocabulary pieces, std::vector<Added> added, WordpieceOptions options);

  std::int64_t id_of_special(const std::string& token) const;
  // These append ids until there are `ids_max`, and return without doing more then.
  void add_plain(std::string_view text, std::size_t ids_max, std::vector<std::int64_t>& ids) const;
  void add_word(std::string_view word, std::size_t chars, std::size_t ids_max,
                std::vector<std::int64_t>& ids) const;
  const Added* added_at(std::string_view text) const noexcept;

  Vocabulary pieces_;
  Vocabulary continuations_;  // without their prefix
  std::size_t piece_bytes_max_ = 0;
  std::vector<Added> added_;  // longest first
  WordpieceOptions options_;
  std::int64_t unknown_id_ = 0, begin_id_ = 0, end_id_ = 0, padding_id_ = 0;
};

}  // namespace baozi::pipeline
