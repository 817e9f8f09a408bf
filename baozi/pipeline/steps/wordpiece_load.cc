// Reads WordPiece vocabularies: vocab.txt and Hugging Face's tokenizer.json.
#include <fmt/format.h>
#include <simdjson.h>

#include <array>
#include <fstream>
#include <iterator>

#include "baozi/base/error.h"
#include "baozi/pipeline/steps/wordpiece.h"

namespace baozi::pipeline {
namespace {

using simdjson::dom::element;

[[noreturn]] void unsupported(std::string_view what) {
  throw Error(Code::kUnimplemented,
              fmt::format("tokenizer.json: {}; this is no BERT WordPiece tokenizer as known here "
                          "(BertNormalizer, BertPreTokenizer, WordPiece)",
                          what));
}

std::string text_of(element value) { return std::string(std::string_view(value)); }

bool flag_of(element object, std::string_view key) {
  bool flag = false;
  if (object[key].get(flag) != simdjson::SUCCESS) return false;
  return flag;
}

void expect_type(element root, std::string_view part, std::string_view type) {
  std::string_view found;
  if (root[part]["type"].get(found) != simdjson::SUCCESS) found = "missing";
  if (found != type)
    unsupported(fmt::format("its {} is '{}', '{}' is expected", part, found, type));
}

void read_normalizer(element root, WordpieceOptions& options) {
  expect_type(root, "normalizer", "BertNormalizer");
  const element normalizer = root["normalizer"];
  options.clean_text = flag_of(normalizer, "clean_text");
  options.split_chinese = flag_of(normalizer, "handle_chinese_chars");
  options.lowercase = flag_of(normalizer, "lowercase");
  bool strip = options.lowercase;  // null means: as lowercase
  if (normalizer["strip_accents"].get(strip) != simdjson::SUCCESS) strip = options.lowercase;
  options.strip_accents = strip;
}

void read_post_processor(element root, WordpieceOptions& options) {
  std::string_view type;
  if (root["post_processor"]["type"].get(type) != simdjson::SUCCESS) type = "missing";
  const element processor = root["post_processor"];
  if (type == "BertProcessing") {
    options.begin = text_of(processor["cls"].at(0));
    options.end = text_of(processor["sep"].at(0));
    return;
  }
  if (type != "TemplateProcessing") unsupported(fmt::format("its post_processor is '{}'", type));
  const simdjson::dom::array single = processor["single"];
  std::string_view sequence;
  if (single.size() != 3 || single.at(1)["Sequence"]["id"].get(sequence) != simdjson::SUCCESS) {
    unsupported("its template is not: a special token, the text, a special token");
  }
  options.begin = text_of(single.at(0)["SpecialToken"]["id"]);
  options.end = text_of(single.at(2)["SpecialToken"]["id"]);
}

std::vector<Wordpiece::Added> read_added_tokens(element root) {
  std::vector<Wordpiece::Added> added;
  simdjson::dom::array tokens;
  if (root["added_tokens"].get(tokens) != simdjson::SUCCESS) return added;
  for (const element token : tokens) {
    std::string content = text_of(token["content"]);
    for (const std::string_view flag : {"single_word", "lstrip", "rstrip", "normalized"}) {
      if (flag_of(token, flag))
        unsupported(fmt::format("its added token '{}' has the flag {}", content, flag));
    }
    if (content.empty())
      throw Error(Code::kInvalidArgument, "tokenizer.json: an added token is empty");
    added.emplace_back(std::move(content), std::int64_t(token["id"]));
  }
  return added;
}

void check_id(std::string_view piece, std::int64_t id) {
  if (id >= 0) return;
  throw Error(Code::kInvalidArgument,
              fmt::format("tokenizer.json: the id of '{}' is {}, below 0", piece, id));
}

}  // namespace

Wordpiece Wordpiece::from_vocab(std::string_view vocab, WordpieceOptions options) {
  Vocabulary pieces;
  for (std::int64_t id = 0; !vocab.empty(); ++id) {
    const std::size_t end = std::min(vocab.find('\n'), vocab.size());
    std::string_view piece = vocab.substr(0, end);
    if (piece.ends_with('\r')) piece.remove_suffix(1);
    pieces.insert_or_assign(std::string(piece), id);
    vocab.remove_prefix(std::min(end + 1, vocab.size()));
  }
  std::vector<Added> added;
  const std::string_view mask = "[MASK]";
  for (const std::string_view token :
       {std::string_view(options.unknown), std::string_view(options.begin),
        std::string_view(options.end), std::string_view(options.padding), mask}) {
    const auto piece = pieces.find(token);
    if (piece != pieces.end() && !token.empty()) added.emplace_back(token, piece->second);
  }
  return {std::move(pieces), std::move(added), std::move(options)};
}

Wordpiece Wordpiece::from_json(std::string_view json) {
  try {
    simdjson::dom::parser parser;
    const element root = parser.parse(simdjson::padded_string(json));
    WordpieceOptions options;
    expect_type(root, "model", "WordPiece");
    read_normalizer(root, options);
    expect_type(root, "pre_tokenizer", "BertPreTokenizer");
    read_post_processor(root, options);
    const element model = root["model"];
    options.unknown = text_of(model["unk_token"]);
    options.continuation = text_of(model["continuing_subword_prefix"]);
    options.word_chars_max = std::uint64_t(model["max_input_chars_per_word"]);
    std::string_view padding;
    if (root["padding"]["pad_token"].get(padding) == simdjson::SUCCESS) options.padding = padding;

    Vocabulary pieces;
    const simdjson::dom::object vocabulary = model["vocab"];
    pieces.reserve(vocabulary.size());
    for (const auto [piece, value] : vocabulary) {
      const std::int64_t id = value;
      check_id(piece, id);
      pieces.insert_or_assign(std::string(piece), id);
    }
    std::vector<Added> added = read_added_tokens(root);
    for (const auto& [piece, id] : added) check_id(piece, id);
    return {std::move(pieces), std::move(added), std::move(options)};
  } catch (const simdjson::simdjson_error& error) {
    throw Error(Code::kInvalidArgument,
                fmt::format("tokenizer.json is malformed: {}", error.what()));
  }
}

Wordpiece Wordpiece::from_file(const std::filesystem::path& path, WordpieceOptions vocab_options) {
  std::ifstream file(path, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  if (!file)
    throw Error(Code::kNotFound,
                fmt::format("the tokenizer file '{}' cannot be read", path.string()));
  try {
    if (path.extension() == ".json") return from_json(text);
    if (path.extension() == ".txt") return from_vocab(text, std::move(vocab_options));
  } catch (const Error& error) {
    throw Error(error.code(), fmt::format("{}: {}", path.string(), error.message()));
  }
  throw Error(Code::kInvalidArgument,
              fmt::format("the tokenizer file '{}' must be a vocab.txt or a tokenizer.json",
                          path.string()));
}

}  // namespace baozi::pipeline
