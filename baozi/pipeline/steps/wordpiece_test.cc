#include "baozi/pipeline/steps/wordpiece.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <simdjson.h>

#include <fstream>
#include <iterator>

#include "baozi/base/error.h"

namespace baozi::pipeline {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;

const std::string kGolden = BAOZI_SOURCE_DIR "/testdata/golden/";

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

template <class Call>
Error error_of(Call call) {
  try {
    call();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "no error was thrown";
  return Error(Code::kOk, "");
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

void expect_golden(const Wordpiece& tokenizer, const char* section, std::size_t tokens_max) {
  simdjson::dom::parser parser;
  const simdjson::dom::element golden = parser.load(kGolden + "wordpiece.json");
  std::size_t compared = 0;
  for (const auto row : simdjson::dom::array(golden[section])) {
    const std::string_view text = row["text"];
    std::vector<std::int64_t> ids;
    for (const std::int64_t id : simdjson::dom::array(row["ids"])) ids.push_back(id);
    EXPECT_THAT(tokenizer.encode(text, {.tokens_max = tokens_max}), ElementsAreArray(ids)) << text;
    ++compared;
  }
  EXPECT_GT(compared, 30u);
}

TEST(Wordpiece, GivesHuggingFacesIdsFromTokenizerJson) {
  const Wordpiece tokenizer = Wordpiece::from_file(kGolden + "wordpiece_tokenizer.json");
  expect_golden(tokenizer, "whole", 512);
  expect_golden(tokenizer, "truncated_to_6", 6);
}

TEST(Wordpiece, GivesTheSameIdsFromVocabTxt) {
  const Wordpiece tokenizer = Wordpiece::from_file(kGolden + "wordpiece_vocab.txt");
  expect_golden(tokenizer, "whole", 512);
  expect_golden(tokenizer, "truncated_to_6", 6);
}

TEST(Wordpiece, OptionsTurnOffLowerCaseAccentsAndChinese) {
  const std::string vocab = "[PAD]\n[UNK]\n[CLS]\n[SEP]\nA\na\né\ne\n中a\n中\r\n##a\ni̇\n";
  const auto first = [&](std::string_view text, WordpieceOptions options) {
    return Wordpiece::from_vocab(vocab, std::move(options)).encode(text).at(1);
  };
  EXPECT_EQ(first("A", {}), 5);
  EXPECT_EQ(first("A", {.lowercase = false}), 4);
  EXPECT_EQ(first("é", {}), 7);
  EXPECT_EQ(first("É", {.strip_accents = false}), 6);
  EXPECT_EQ(first("中a", {}), 9);
  EXPECT_EQ(first("中a", {.split_chinese = false}), 8);
  EXPECT_EQ(first("İ", {.strip_accents = false}), 11) << "the one lower case of two characters";
}

TEST(Wordpiece, TruncationKeepsBothSpecialTokens) {
  const Wordpiece tokenizer = Wordpiece::from_file(kGolden + "wordpiece_vocab.txt");
  EXPECT_THAT(tokenizer.encode("hello world hello", {.tokens_max = 2}), ElementsAre(2, 3));
  EXPECT_EQ(tokenizer.encode("hello world hello", {.tokens_max = 4}).size(), 4u);
  const Error error = error_of([&] { tokenizer.encode("x", {.tokens_max = 1}); });
  EXPECT_EQ(error.code(), Code::kInvalidArgument);
}

TEST(Wordpiece, RejectsInvalidUtf8WithItsOffset) {
  const Wordpiece tokenizer = Wordpiece::from_file(kGolden + "wordpiece_vocab.txt");
  const std::pair<std::string_view, const char*> cases[] = {
      {"abc\xff", "byte 3 (0xff)"},          {"h\xc3", "byte 1 (0xc3)"},
      {"\xed\xa0\x80", "byte 0 (0xed)"},     {"a\xc0\x80", "byte 1 (0xc0)"},
      {"\xf5\x80\x80\x80", "byte 0 (0xf5)"}, {"é\x80", "byte 2 (0x80)"},
      {"\xe4\xb8 x", "byte 0 (0xe4)"},
  };
  for (const auto& [text, offset] : cases) {
    const Error error = error_of([&, bytes = text] { tokenizer.encode(bytes); });
    EXPECT_EQ(error.code(), Code::kInvalidArgument);
    EXPECT_THAT(error.message(), HasSubstr(offset));
  }
  // Also behind the point where truncation has cut.
  error_of([&] { tokenizer.encode("hello hello hello \xff", {.tokens_max = 2}); });
}

TEST(Wordpiece, BatchIsPaddedToTheLongest) {
  const Wordpiece tokenizer = Wordpiece::from_file(kGolden + "wordpiece_tokenizer.json");
  const std::string_view texts[] = {"hello", "hello world the"};
  const Wordpiece::Batch batch = tokenizer.encode_batch(texts);
  const auto longest = tokenizer.encode("hello world the");
  ASSERT_EQ(longest.size(), 5u);
  const auto shorter = tokenizer.encode("hello");
  EXPECT_EQ(batch.ids.shape(), (Shape{2, 5}));
  EXPECT_THAT(batch.ids.values<std::int64_t>(),
              ElementsAre(shorter[0], shorter[1], shorter[2], 0, 0, longest[0], longest[1],
                          longest[2], longest[3], longest[4]));
  EXPECT_THAT(batch.mask.values<std::int64_t>(), ElementsAre(1, 1, 1, 0, 0, 1, 1, 1, 1, 1));
  EXPECT_THAT(batch.types.values<std::int64_t>(), testing::Each(0));
  EXPECT_EQ(batch.types.shape(), (Shape{2, 5}));
}

TEST(Wordpiece, BatchWidthIsRoundedUpWithinTheLimit) {
  const Wordpiece tokenizer = Wordpiece::from_file(kGolden + "wordpiece_tokenizer.json");
  const std::string_view texts[] = {"hello world the"};
  EXPECT_EQ(tokenizer.encode_batch(texts, {.multiple_of = 8}).ids.shape(), (Shape{1, 8}));
  EXPECT_EQ(tokenizer.encode_batch(texts, {.tokens_max = 6, .multiple_of = 8}).ids.shape(),
            (Shape{1, 6}));
}

TEST(Wordpiece, BatchErrorsNameTheText) {
  const Wordpiece tokenizer = Wordpiece::from_file(kGolden + "wordpiece_vocab.txt");
  const std::string_view texts[] = {"fine", "\xff"};
  EXPECT_THAT(error_of([&] { tokenizer.encode_batch(texts); }).message(), HasSubstr("text 1: "));
  EXPECT_EQ(error_of([&] { tokenizer.encode_batch({}); }).code(), Code::kInvalidArgument);
}

TEST(Wordpiece, RefusesTokenizersOfOtherKinds) {
  const std::string json = read_file(kGolden + "wordpiece_tokenizer.json");
  const std::pair<const char*, const char*> changes[] = {
      {"\"type\": \"WordPiece\", \"unk", "\"type\": \"BPE\", \"unk"},
      {"BertNormalizer", "NFC"},
      {"BertPreTokenizer", "ByteLevel"},
      {"TemplateProcessing", "RobertaProcessing"},
      {"\"lstrip\": false", "\"lstrip\": true"},
  };
  for (const auto& [from, to] : changes) {
    const Error error =
        error_of([&, a = from, b = to] { Wordpiece::from_json(replaced(json, a, b)); });
    EXPECT_EQ(error.code(), Code::kUnimplemented) << to;
    EXPECT_THAT(error.message(), HasSubstr("BertNormalizer")) << to;
  }
}

TEST(Wordpiece, RefusesMalformedTokenizerJson) {
  const std::string json = read_file(kGolden + "wordpiece_tokenizer.json");
  const std::string cases[] = {
      "",
      "{",
      json.substr(0, json.size() / 2),
      replaced(json, "\"[CLS]\": 2", "\"[OTHER]\": 2")
          .replace(json.find("\"content\": \"[CLS]\""), 18, "\"content\": \"[NONE]\""),
      replaced(json, "\"[PAD]\": 0", "\"[PAD]\": -1"),
      replaced(json, "\"[PAD]\": 0", "\"[PAD]\": \"0\""),
      replaced(json, "\"max_input_chars_per_word\": 100", "\"max_input_chars_per_word\": -1"),
  };
  for (const std::string& text : cases) {
    EXPECT_EQ(error_of([&] { Wordpiece::from_json(text); }).code(), Code::kInvalidArgument)
        << text.substr(0, 80);
  }
}

TEST(Wordpiece, FileErrorsNameTheFile) {
  const Error missing = error_of([] { Wordpiece::from_file("/nonexistent/vocab.txt"); });
  EXPECT_EQ(missing.code(), Code::kNotFound);
  EXPECT_THAT(missing.message(), HasSubstr("/nonexistent/vocab.txt"));
  const Error vocabulary = error_of([] { Wordpiece::from_vocab("a\nb\n"); });
  EXPECT_EQ(vocabulary.code(), Code::kInvalidArgument);
  EXPECT_THAT(vocabulary.message(), HasSubstr("'[UNK]'"));
}

}  // namespace
}  // namespace baozi::pipeline
