#include "baozi/engine/onnx_file/wire_reader.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>

#include "baozi/base/error.h"

namespace baozi::engine {
namespace {

// Wire types of protobuf.
enum : std::uint32_t { kVarint = 0, kFixed64 = 1, kDelimited = 2, kFixed32 = 5 };

[[noreturn]] void damaged(std::uint64_t at) {
  throw Error(Code::kInvalidArgument,
              fmt::format("it is damaged, or no ONNX model, at byte {}", at));
}

}  // namespace

WireFile::WireFile(const std::filesystem::path& path)
    : descriptor_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
  if (descriptor_ < 0)
    throw Error(Code::kInvalidArgument, "it cannot be read; check its permissions");
  struct stat facts;
  if (::fstat(descriptor_, &facts) != 0) {
    ::close(descriptor_);
    throw Error(Code::kInvalidArgument, "its size cannot be read");
  }
  size_ = static_cast<std::uint64_t>(facts.st_size);
}

WireFile::~WireFile() { ::close(descriptor_); }

std::uint8_t WireFile::byte(std::uint64_t at) {
  assert(at < size_);
  if (at < window_begin_ || at >= window_begin_ + window_size_) {
    const ssize_t got =
        ::pread(descriptor_, window_.data(), window_.size(), static_cast<off_t>(at));
    if (got <= 0) damaged(at);
    window_begin_ = at;
    window_size_ = static_cast<std::uint64_t>(got);
  }
  return window_[at - window_begin_];
}

std::uint64_t FieldReader::varint() {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    if (at_ >= end_) damaged(at_);
    const std::uint8_t byte = file_.byte(at_++);
    value |= std::uint64_t{byte & 0x7fu} << shift;
    if (byte < 0x80) return value;
  }
  damaged(at_);
}

void FieldReader::skip(std::uint64_t bytes) {
  if (bytes > end_ - at_) damaged(at_);
  at_ += bytes;
}

bool FieldReader::next(Field& field) {
  if (at_ == end_) return false;
  const std::uint64_t key = varint();
  field = Field{};
  field.number = static_cast<std::uint32_t>(key >> 3);
  if (field.number == 0 || key >> 32 != 0) damaged(at_);
  switch (key & 7) {
    case kVarint:
      field.value = varint();
      return true;
    case kFixed64:
      skip(8);
      return true;
    case kFixed32:
      skip(4);
      return true;
    case kDelimited: {
      const std::uint64_t size = varint();
      field.delimited = true;
      field.begin = at_;
      skip(size);
      field.end = at_;
      return true;
    }
    default:
      damaged(at_);
  }
}

std::string read_text(WireFile& file, const Field& field, std::size_t size_max) {
  if (field.end - field.begin > size_max) damaged(field.begin);
  std::string text;
  text.reserve(field.end - field.begin);
  for (std::uint64_t at = field.begin; at < field.end; ++at)
    text.push_back(static_cast<char>(file.byte(at)));
  return text;
}

}  // namespace baozi::engine
