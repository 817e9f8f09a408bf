#include "baozi/pipeline/steps/wordpiece.h"

#include <fmt/format.h>
#include <utf8proc.h>

#include <algorithm>
#include <array>

#include "baozi/base/error.h"

namespace baozi::pipeline {
namespace {

using CodePoint = utf8proc_int32_t;
using Ids = std::vector<std::int64_t>;

constexpr CodePoint kReplacement = 0xfffd;
constexpr CodePoint kCapitalIWithDot = 0x130;

bool is_ascii(CodePoint c) { return c < 0x80; }

// Unicode's White_Space.
bool is_space(CodePoint c) {
  if (is_ascii(c)) return c == ' ' || (c >= 0x9 && c <= 0xd);
  return c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 ||
         c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

bool is_dropped(CodePoint c) {
  if (is_ascii(c)) return (c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7f;
  const utf8proc_category_t category = utf8proc_category(c);
  return c == kReplacement || category == UTF8PROC_CATEGORY_CC ||
         category == UTF8PROC_CATEGORY_CF || category == UTF8PROC_CATEGORY_CO;
}

bool is_punctuation(CodePoint c) {
  if (is_ascii(c)) {
    return (c >= 33 && c <= 47) || (c >= 58 && c <= 64) || (c >= 91 && c <= 96) ||
           (c >= 123 && c <= 126);
  }
  const utf8proc_category_t category = utf8proc_category(c);
  return category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO;
}

// The reference's ranges. Extension E begins at 2B820 in Unicode, yet at 2B920 there, and the ids
// shall be the same.
bool is_chinese(CodePoint c) {
  if (c < 0x3400) return false;
  return (c >= 0x4e00 && c <= 0x9fff) || c <= 0x4dbf || (c >= 0xf900 && c <= 0xfaff) ||
         (c >= 0x20000 && c <= 0x2a6df) || (c >= 0x2a700 && c <= 0x2b81f) ||
         (c >= 0x2b920 && c <= 0x2ceaf) || (c >= 0x2f800 && c <= 0x2fa1f);
}

// The code point at `at`, which moves behind it. Throws on malformed UTF-8.
CodePoint next_code_point(std::string_view text, std::size_t& at) {
  const auto byte = static_cast<unsigned char>(text[at]);
  if (byte < 0x80) {
    ++at;
    return byte;
  }
  CodePoint c = 0;
  const utf8proc_ssize_t length =
      utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data() + at),
                       static_cast<utf8proc_ssize_t>(text.size() - at), &c);
  if (length < 1) {
    throw Error(Code::kInvalidArgument,
                fmt::format("the text is not UTF-8: byte {} (0x{:02x}) begins no valid character",
                            at, byte));
  }
  at += static_cast<std::size_t>(length);
  return c;
}

void check_utf8(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) next_code_point(text, at);
}

// Collects the characters of a word after their normalisation.
struct Word {
  std::string text;
  std::size_t chars = 0;

  void add(CodePoint c) {
    std::array<utf8proc_uint8_t, 4> bytes;
    const auto length = static_cast<std::size_t>(utf8proc_encode_char(c, bytes.data()));
    text.append(reinterpret_cast<const char*>(bytes.data()), length);
    ++chars;
  }
  void clear() {
    text.clear();
    chars = 0;
  }
};

// What `c` becomes: without accents, in lower case. Returns how many of `out` are used, none for an
// accent alone.
std::size_t normalise(CodePoint c, const WordpieceOptions& options,
                      std::array<CodePoint, 32>& out) {
  std::size_t count = 1;
  out[0] = c;
  if (is_ascii(c)) {
    if (options.lowercase && c >= 'A' && c <= 'Z') out[0] = c + ('a' - 'A');
    return count;
  }
  if (options.strip_accents) {
    int boundary = 0;
    // Canonical decompositions have at most 4 characters.
    const auto decomposed =
        utf8proc_decompose_char(c, out.data(), static_cast<utf8proc_ssize_t>(out.size()),
                                static_cast<utf8proc_option_t>(UTF8PROC_DECOMPOSE), &boundary);
    const auto end = std::remove_if(out.begin(), out.begin() + decomposed, [](CodePoint part) {
      return utf8proc_category(part) == UTF8PROC_CATEGORY_MN;
    });
    count = static_cast<std::size_t>(end - out.begin());
  }
  if (!options.lowercase) return count;
  if (c == kCapitalIWithDot &&
      !options.strip_accents) {  // the one character whose lower case is two
    out = {'i', 0x307};
    return 2;
  }
  for (std::size_t i = 0; i < count; ++i) out[i] = utf8proc_tolower(out[i]);
  return count;
}

}  // namespace

Wordpiece::Wordpiece(Vocabulary pieces, std::vector<Added> added, WordpieceOptions options)
    : pieces_(std::move(pieces)), added_(std::move(added)), options_(std::move(options)) {
  for (const auto& [piece, id] : pieces_) {
    piece_bytes_max_ = std::max(piece_bytes_max_, piece.size());
    if (piece.starts_with(options_.continuation))
      continuations_.emplace(piece.substr(options_.continuation.size()), id);
  }
  std::sort(added_.begin(), added_.end(),
            [](const Added& a, const Added& b) { return a.first.size() > b.first.size(); });
  unknown_id_ = id_of_special(options_.unknown);
  begin_id_ = id_of_special(options_.begin);
  end_id_ = id_of_special(options_.end);
  padding_id_ = id_of_special(options_.padding);
}

std::int64_t Wordpiece::id_of_special(const std::string& token) const {
  if (const auto piece = pieces_.find(token); piece != pieces_.end()) return piece->second;
  for (const auto& [text, id] : added_) {
    if (text == token) return id;
  }
  throw Error(
      Code::kInvalidArgument,
      fmt::format("the tokenizer's vocabulary of {} pieces has no '{}'; is it a BERT vocabulary?",
                  pieces_.size(), token));
}

void Wordpiece::add_word(std::string_view word, std::size_t chars, std::size_t ids_max,
                         Ids& ids) const {
  if (chars > options_.word_chars_max) return ids.push_back(unknown_id_);
  const std::size_t first = ids.size();
  while (!word.empty()) {
    const Vocabulary& vocabulary = ids.size() == first ? pieces_ : continuations_;
    auto match = vocabulary.end();
    std::size_t length = std::min(word.size(), piece_bytes_max_);
    for (; length > 0 && match == vocabulary.end(); --length) {
      match = vocabulary.find(word.substr(0, length));
    }
    if (match == vocabulary.end()) {
      ids.resize(first);
      return ids.push_back(unknown_id_);
    }
    ids.push_back(match->second);
    word.remove_prefix(length + 1);
  }
  // A word is looked through to its end even beyond the limit, for only then is it known not to be
  // unknown.
  if (ids.size() > ids_max) ids.resize(ids_max);
}

void Wordpiece::add_plain(std::string_view text, std::size_t ids_max, Ids& ids) const {
  Word word;
  const auto flush = [&] {
    if (word.chars > 0 && ids.size() < ids_max) add_word(word.text, word.chars, ids_max, ids);
    word.clear();
  };
  const auto add_alone = [&](CodePoint c) {
    flush();
    word.add(c);
    flush();
  };
  std::array<CodePoint, 32> parts;
  for (std::size_t at = 0; at < text.size() && ids.size() < ids_max;) {
    const CodePoint c = next_code_point(text, at);
    if (options_.clean_text && is_dropped(c)) continue;
    if (is_space(c)) {
      flush();
      continue;
    }
    const bool chinese = options_.split_chinese && is_chinese(c);
    if (chinese) flush();
    const std::size_t count = normalise(c, options_, parts);
    for (std::size_t i = 0; i < count; ++i) {
      if (is_punctuation(parts[i])) {
        add_alone(parts[i]);
      } else if (word.chars <=
                 options_.word_chars_max) {  // an overlong word is unknown whatever follows
        word.add(parts[i]);
      }
    }
    if (chinese) flush();
  }
  flush();
}

const Wordpiece::Added* Wordpiece::added_at(std::string_view text) const noexcept {
  for (const Added& added : added_) {
    if (text.starts_with(added.first)) return &added;
  }
  return nullptr;
}

Ids Wordpiece::encode(std::string_view text, const EncodeOptions& options) const {
  if (options.tokens_max < 2) {
    throw Error(Code::kInvalidArgument,
                "tokens_max must be at least 2: every text gets two special tokens");
  }
  check_utf8(text);
  const std::size_t ids_max = options.tokens_max - 1;
  Ids ids{begin_id_};
  std::string first_bytes;
  for (const Added& added : added_) first_bytes += added.first.front();
  std::size_t plain = 0;
  for (std::size_t at = 0; ids.size() < ids_max; ++at) {
    at = text.find_first_of(first_bytes, at);
    if (at == std::string_view::npos) break;
    const Added* added = added_at(text.substr(at));
    if (added == nullptr) continue;
    add_plain(text.substr(plain, at - plain), ids_max, ids);
    if (ids.size() < ids_max) ids.push_back(added->second);
    plain = at + added->first.size();
    at = plain - 1;
  }
  add_plain(text.substr(plain), ids_max, ids);
  ids.push_back(end_id_);
  return ids;
}

Wordpiece::Batch Wordpiece::encode_batch(std::span<const std::string_view> texts,
                                         const EncodeOptions& options, Allocator& allocator) const {
  if (texts.empty()) throw Error(Code::kInvalidArgument, "there are no texts to tokenise");
  std::vector<Ids> rows;
  rows.reserve(texts.size());
  std::size_t width = 0;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    try {
      rows.push_back(encode(texts[i], options));
    } catch (const Error& error) {
      throw Error(error.code(), fmt::format("text {}: {}", i, error.message()));
    }
    width = std::max(width, rows.back().size());
  }
  const std::size_t multiple = std::max<std::size_t>(options.multiple_of, 1);
  width =
      std::min((width + multiple - 1) / multiple * multiple, std::max(width, options.tokens_max));

  const Shape shape{static_cast<std::int64_t>(rows.size()), static_cast<std::int64_t>(width)};
  Batch batch{.ids = Tensor::allocate(DType::kInt64, shape, allocator),
              .mask = Tensor::allocate(DType::kInt64, shape, allocator),
              .types = Tensor::allocate(DType::kInt64, shape, allocator)};
  const auto ids = batch.ids.mutable_values<std::int64_t>();
  const auto mask = batch.mask.mutable_values<std::int64_t>();
  const auto types = batch.types.mutable_values<std::int64_t>();
  std::fill(ids.begin(), ids.end(), padding_id_);
  std::fill(mask.begin(), mask.end(), 0);
  std::fill(types.begin(), types.end(), 0);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto at = static_cast<std::ptrdiff_t>(i * width);
    std::copy(rows[i].begin(), rows[i].end(), ids.begin() + at);
    std::fill_n(mask.begin() + at, rows[i].size(), 1);
  }
  return batch;
}

}  // namespace baozi::pipeline
