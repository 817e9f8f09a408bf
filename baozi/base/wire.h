// Protobuf's wire encoding, of messages that are in memory: fields one by one, whatever their
// schema. (engine/onnx/wire_reader reads the same from files that are too large to be loaded.)
//
//   WireReader fields(bytes);
//   for (WireField field; fields.next(field);)
//     if (field.number == 6) predict_log(field.bytes);
//
//   append_field(out, 1, "name");
//   append_field(out, 2, std::uint64_t{7});
//
// Thread safety: a reader by one thread; free functions.
// Encoding: protobuf.dev, "Encoding"; groups are refused.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace baozi {

struct WireField {
  enum class Kind : std::uint8_t { kVarint, kFixed64, kBytes, kFixed32 };
  std::uint32_t number = 0;
  Kind kind = Kind::kVarint;
  std::uint64_t value = 0;  // of kVarint; the bits of kFixed64 and kFixed32
  std::string_view bytes;   // of kBytes: a string, a message or a packed run
};

class WireReader {
 public:
  explicit WireReader(std::string_view message) noexcept : message_(message) {}

  // False at the end. Throws Error kInvalidArgument "… is damaged at byte …".
  bool next(WireField& field);
  // One varint, of a packed run. Precondition: not done().
  std::uint64_t varint();
  bool done() const noexcept { return at_ == message_.size(); }

 private:
  std::string_view take(std::uint64_t size);

  std::string_view message_;
  std::size_t at_ = 0;
};

void append_varint(std::string& out, std::uint64_t value);
void append_field(std::string& out, std::uint32_t number, std::uint64_t varint);
void append_field(std::string& out, std::uint32_t number, std::string_view bytes);

}  // namespace baozi
