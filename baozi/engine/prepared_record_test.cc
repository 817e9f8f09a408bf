#include "baozi/engine/prepared_record.h"

#include <gtest/gtest.h>

namespace baozi::engine {
namespace {

const std::string kDigest(32, 'a');

PreparedManifest manifest() {
  return {{kDigest, "onnx 1.32.0", "x86_64 1 2", "optimization_level=99"},
          "/models/a b/model.onnx",
          90,
          {{"model.onnx", 12, std::string(32, 'b')}, {"weights.bin", 0, std::string(32, 'c')}}};
}

TEST(PreparedRecord, AManifestIsReadAsItWasWritten) {
  const PreparedManifest written = manifest();
  const std::optional<PreparedManifest> read = parse_manifest(format_manifest(written));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->key, written.key);
  EXPECT_EQ(read->source, written.source);
  EXPECT_EQ(read->source_bytes, 90u);
  EXPECT_EQ(read->files, written.files);
}

TEST(PreparedRecord, ASourceIsReadAsItWasWritten) {
  const SourceRecord written{kDigest, 90, {{"/models/a b.onnx", 90, "1.2.3.4.5"}}};
  const std::optional<SourceRecord> read = parse_source(format_source(written));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->digest, written.digest);
  EXPECT_EQ(read->bytes, written.bytes);
  EXPECT_EQ(read->files, written.files);
}

TEST(PreparedRecord, NoPartOfAManifestIsOne) {
  const std::string whole = format_manifest(manifest());
  for (std::size_t size = 0; size < whole.size(); ++size)
    EXPECT_FALSE(parse_manifest(whole.substr(0, size))) << size;
  EXPECT_FALSE(parse_manifest(whole + "\n"));
}

TEST(PreparedRecord, NoOtherBitLeavesItWhole) {
  const std::string whole = format_manifest(manifest());
  for (std::size_t bit = 0; bit < 8 * whole.size(); ++bit) {
    std::string other = whole;
    other[bit / 8] = static_cast<char>(other[bit / 8] ^ (1 << bit % 8));
    EXPECT_FALSE(parse_manifest(other)) << bit;
  }
}

TEST(PreparedRecord, AnotherVersionIsNotRead) {
  EXPECT_FALSE(parse_manifest(
      seal({{"baozi-prepared", "2"}, {"model", kDigest}, {"file", "1 " + kDigest + " a"}})));
  EXPECT_TRUE(parse_manifest(
      seal({{"baozi-prepared", "1"}, {"model", kDigest}, {"file", "1 " + kDigest + " a"}})));
}

TEST(PreparedRecord, FilesOutsideOfTheArtefactAreRefused) {
  for (const char* name : {"../a", "/a", "a/b", ".", "..", ""}) {
    EXPECT_FALSE(parse_manifest(
        seal({{"baozi-prepared", "1"}, {"model", kDigest}, {"file", "1 " + kDigest + " " + name}})))
        << name;
  }
}

TEST(PreparedRecord, ALineBreakInAPathMakesNoLine) {
  PreparedManifest written = manifest();
  written.source = "/models/\nfile 1 x y";
  const std::optional<PreparedManifest> read = parse_manifest(format_manifest(written));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->source, "/models/?file 1 x y");
  EXPECT_EQ(read->files, written.files);
}

TEST(PreparedRecord, EveryPartOfAKeyChangesItsName) {
  const PreparedKey key = manifest().key;
  EXPECT_EQ(key.name().size(), 32u);
  for (std::string PreparedKey::* part :
       {&PreparedKey::model, &PreparedKey::engine, &PreparedKey::machine, &PreparedKey::options}) {
    PreparedKey other = key;
    other.*part += "x";
    EXPECT_NE(other.name(), key.name());
  }
}

}  // namespace
}  // namespace baozi::engine
