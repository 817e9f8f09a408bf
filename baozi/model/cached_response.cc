#include "baozi/model/cached_response.h"

#include <bit>
#include <cstring>
#include <string>
#include <utility>
#include <variant>

#include "baozi/base/error.h"

namespace baozi::model {
namespace {

static_assert(std::endian::native == std::endian::little, "the format is little-endian");

constexpr std::uint32_t kKind = 0x31'53'4e'54;  // "TNS1"
constexpr std::size_t kHeadBytes = 2 * sizeof(std::uint32_t);
constexpr std::size_t kAlignment = 64;

std::size_t aligned(std::size_t size) noexcept {
  return (size + kAlignment - 1) / kAlignment * kAlignment;
}

class Writer {
 public:
  template <class T>
  void number(T value) {
    out_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void text(std::string_view value) {
    number(static_cast<std::uint32_t>(value.size()));
    out_.append(value);
  }
  const std::string& out() const noexcept { return out_; }

 private:
  std::string out_;
};

// Every read says whether there was that much.
class Reader {
 public:
  explicit Reader(std::string_view from) noexcept : left_(from) {}

  template <class T>
  bool number(T& value) noexcept {
    if (left_.size() < sizeof value) return false;
    std::memcpy(&value, left_.data(), sizeof value);
    left_.remove_prefix(sizeof value);
    return true;
  }
  bool text(std::string& value) {
    std::uint32_t size = 0;
    if (!number(size) || left_.size() < size) return false;
    value.assign(left_.substr(0, size));
    left_.remove_prefix(size);
    return true;
  }
  std::size_t left() const noexcept { return left_.size(); }

 private:
  std::string_view left_;
};

void write_parameter(Writer& table, const Parameter& parameter) {
  table.number(static_cast<std::uint8_t>(parameter.index()));
  if (const auto* flag = std::get_if<bool>(&parameter))
    table.number(static_cast<std::uint8_t>(*flag));
  else if (const auto* whole = std::get_if<std::int64_t>(&parameter))
    table.number(*whole);
  else if (const auto* real = std::get_if<double>(&parameter))
    table.number(*real);
  else
    table.text(std::get<std::string>(parameter));
}

bool read_parameter(Reader& table, Parameter& parameter) {
  std::uint8_t index = 0;
  if (!table.number(index)) return false;
  switch (index) {
    case 0: {
      std::uint8_t flag = 0;
      const bool there = table.number(flag) && flag <= 1;
      parameter = flag == 1;
      return there;
    }
    case 1:
      return table.number(parameter.emplace<std::int64_t>());
    case 2:
      return table.number(parameter.emplace<double>());
    case 3:
      return table.text(parameter.emplace<std::string>());
    default:
      return false;
  }
}

std::string table_of(const InferResponse& response) {
  Writer table;
  table.text(response.version);
  table.number(static_cast<std::uint32_t>(response.parameters.size()));
  for (const auto& [name, value] : response.parameters) {
    table.text(name);
    write_parameter(table, value);
  }
  table.number(static_cast<std::uint32_t>(response.outputs.size()));
  std::uint64_t place = 0;
  for (const NamedTensor& output : response.outputs) {
    const Tensor& tensor = output.tensor;
    table.text(output.name);
    table.number(static_cast<std::uint8_t>(tensor.dtype()));
    table.number(static_cast<std::uint8_t>(tensor.shape().rank()));
    for (const std::int64_t dim : tensor.shape()) table.number(dim);
    table.number(place);
    table.number(static_cast<std::uint64_t>(tensor.data().size()));
    place += aligned(tensor.data().size());
  }
  return table.out();
}

// `next` is where the output's bytes begin, one behind the other: if they could overlap, a small
// block would hold many large tensors.
bool read_output(Reader& table, const Bytes& data, std::uint64_t& next, Tensors& outputs) {
  std::string name;
  std::uint8_t dtype = 0;
  std::uint8_t rank = 0;
  if (!table.text(name) || !table.number(dtype) || !table.number(rank)) return false;
  if (dtype > static_cast<std::uint8_t>(DType::kBytes) || rank > Shape::kRankMax) return false;
  Shape shape;
  for (std::uint8_t i = 0; i < rank; ++i) {
    std::int64_t dim = 0;
    if (!table.number(dim)) return false;
    shape.push_back(dim);
  }
  std::uint64_t place = 0;
  std::uint64_t size = 0;
  if (!table.number(place) || !table.number(size)) return false;
  if (place != next || place > data.size() || size > data.size() - place) return false;
  next += aligned(size);
  outputs.push_back({std::move(name), Tensor(static_cast<DType>(dtype), shape,
                                             data.slice(static_cast<std::size_t>(place),
                                                        static_cast<std::size_t>(size)))});
  return true;
}

bool read_table(Reader& table, const Bytes& data, InferResponse& response) {
  if (!table.text(response.version)) return false;
  std::uint32_t count = 0;
  if (!table.number(count)) return false;
  for (std::uint32_t i = 0; i < count; ++i) {
    std::string name;
    Parameter value;
    if (!table.text(name) || !read_parameter(table, value)) return false;
    response.parameters.insert_or_assign(std::move(name), std::move(value));
  }
  if (!table.number(count)) return false;
  std::uint64_t next = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    if (!read_output(table, data, next, response.outputs)) return false;
  }
  return table.left() == 0;
}

}  // namespace

Bytes encode_response(const InferResponse& response, std::size_t room) {
  const std::string table = table_of(response);
  const std::size_t data_at = aligned(kHeadBytes + table.size());
  std::size_t size = data_at;
  for (const NamedTensor& output : response.outputs) size += aligned(output.tensor.data().size());
  Bytes all = Bytes::allocate(room + size);
  std::memset(all.mutable_data(), 0, room + data_at);
  std::byte* const to = all.mutable_data() + room;
  const std::uint32_t head[2] = {kKind, static_cast<std::uint32_t>(table.size())};
  std::memcpy(to, head, sizeof head);
  std::memcpy(to + kHeadBytes, table.data(), table.size());
  std::byte* at = to + data_at;
  for (const NamedTensor& output : response.outputs) {
    const Bytes& data = output.tensor.data();
    const std::size_t padded = aligned(data.size());
    if (!data.empty()) std::memcpy(at, data.data(), data.size());
    std::memset(at + data.size(), 0, padded - data.size());
    at += padded;
  }
  return all;
}

std::optional<InferResponse> decode_response(const Bytes& block) {
  Reader head(block.text());
  std::uint32_t kind = 0;
  std::uint32_t table_size = 0;
  if (!head.number(kind) || kind != kKind || !head.number(table_size)) return std::nullopt;
  const std::size_t data_at = aligned(kHeadBytes + table_size);
  if (data_at > block.size()) return std::nullopt;
  Reader table(block.text().substr(kHeadBytes, table_size));
  InferResponse response;
  try {
    if (!read_table(table, block.slice(data_at, block.size() - data_at), response))
      return std::nullopt;
  } catch (const Error&) {  // a tensor's shape and its bytes do not fit
    return std::nullopt;
  }
  return response;
}

}  // namespace baozi::model
