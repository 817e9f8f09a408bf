// Reading protobuf's wire encoding straight from a file, without loading it: fields are told one by
// one, large ones are skipped without being read.
//
// Thread safety: one thread at a time.
// Errors: Error kInvalidArgument with the position, without the file's name.
// Encoding: protobuf.dev, "Encoding"; groups are refused, ONNX has none.
//
//   WireFile file(path);
//   FieldReader fields(file, 0, file.size());
//   for (Field field; fields.next(field);) if (field.number == 7) descend(FieldReader(file,
//       field));
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>

namespace baozi::engine {

class WireFile {
 public:
  explicit WireFile(const std::filesystem::path& path);
  ~WireFile();
  WireFile(const WireFile&) = delete;
  WireFile& operator=(const WireFile&) = delete;

  std::uint64_t size() const noexcept { return size_; }
  // Precondition: at < size(). Throws when the file shrank meanwhile.
  std::uint8_t byte(std::uint64_t at);

 private:
  int descriptor_ = -1;
  std::uint64_t size_ = 0;
  std::uint64_t window_begin_ = 0;
  std::uint64_t window_size_ = 0;
  std::array<std::uint8_t, 16384> window_;
};

struct Field {
  std::uint32_t number = 0;
  bool delimited = false;   // a message, string or packed run: [begin, end) of the file
  std::uint64_t value = 0;  // of a varint
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

class FieldReader {
 public:
  FieldReader(WireFile& file, std::uint64_t begin, std::uint64_t end) noexcept
      : file_(file), at_(begin), end_(end) {}
  FieldReader(WireFile& file, const Field& message) noexcept
      : FieldReader(file, message.begin, message.end) {}

  // False at the end of the message.
  bool next(Field& field);

 private:
  std::uint64_t varint();
  void skip(std::uint64_t bytes);

  WireFile& file_;
  std::uint64_t at_;
  std::uint64_t end_;
};

// The bytes of a delimited field; throws above `size_max`.
std::string read_text(WireFile& file, const Field& field, std::size_t size_max);

}  // namespace baozi::engine
