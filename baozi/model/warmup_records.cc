#include "baozi/model/warmup_records.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>
#include <utility>

#include "baozi/base/crc32c.h"
#include "baozi/base/error.h"
#include "baozi/base/log.h"
#include "baozi/base/wire.h"
#include "baozi/model/tensor_proto.h"

namespace baozi::model {
namespace {

static_assert(std::endian::native == std::endian::little);

// Field numbers of prediction_log.proto and predict.proto.
enum : std::uint32_t { kPredictLog = 6 };
enum : std::uint32_t { kLogRequest = 1, kLogResponse = 2 };
enum : std::uint32_t { kRequestModel = 1, kRequestInputs = 2, kResponseOutputs = 1 };
enum : std::uint32_t { kModelName = 1 };
enum : std::uint32_t { kMapKey = 1, kMapValue = 2 };

constexpr std::size_t kLengthBytes = 8;
constexpr std::size_t kCrcBytes = 4;

[[noreturn]] void refuse(std::string message) {
  throw Error(Code::kInvalidArgument, std::move(message));
}

// CRCs of data that has CRCs in it are stored masked (record_writer.h, crc32c::Mask).
std::uint32_t masked_crc(std::string_view bytes) {
  const std::uint32_t crc = crc32c(bytes);
  return ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
}

template <class T>
T little(std::string_view bytes) {
  T value;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

template <class T>
void append_little(std::string& out, T value) {
  char bytes[sizeof value];
  std::memcpy(bytes, &value, sizeof value);
  out.append(bytes, sizeof value);
}

// Takes the next record off `rest`.
std::string_view next_record(std::string_view& rest) {
  if (rest.size() < kLengthBytes + kCrcBytes) refuse("it ends in the middle of a record");
  const std::string_view length_bytes = rest.substr(0, kLengthBytes);
  if (little<std::uint32_t>(rest.substr(kLengthBytes)) != masked_crc(length_bytes))
    refuse("it is damaged, or no TFRecord file: a length does not have its checksum");
  const auto length = little<std::uint64_t>(length_bytes);
  rest.remove_prefix(kLengthBytes + kCrcBytes);
  if (rest.size() < kCrcBytes || length > rest.size() - kCrcBytes)
    refuse("it ends in the middle of a record");
  const std::string_view record = rest.substr(0, static_cast<std::size_t>(length));
  rest.remove_prefix(record.size());
  if (little<std::uint32_t>(rest) != masked_crc(record))
    refuse("it is damaged: a record does not have its checksum");
  rest.remove_prefix(kCrcBytes);
  return record;
}

// An entry of map<string, TensorProto>.
NamedTensor read_entry(std::string_view message) {
  NamedTensor entry;
  std::string_view tensor;
  WireReader fields(message);
  for (WireField field; fields.next(field);) {
    if (field.kind != WireField::Kind::kBytes) continue;
    if (field.number == kMapKey) entry.name = field.bytes;
    if (field.number == kMapValue) tensor = field.bytes;
  }
  try {
    entry.tensor = parse_tensor_proto(tensor, kRecordTensorBytesMax);
  } catch (const Error& error) {
    throw Error(error.code(), fmt::format("tensor '{}': {}", entry.name, error.message()));
  }
  return entry;
}

Tensors read_map(std::string_view message, std::uint32_t number) {
  Tensors tensors;
  WireReader fields(message);
  for (WireField field; fields.next(field);) {
    if (field.number != number || field.kind != WireField::Kind::kBytes) continue;
    NamedTensor entry = read_entry(field.bytes);
    if (find_tensor(tensors, entry.name) != nullptr)
      refuse(fmt::format("tensor '{}' is given twice", entry.name));
    tensors.push_back(std::move(entry));
  }
  return tensors;
}

// Nothing: it is a log of another kind.
std::optional<WarmupSample> read_log(std::string_view message) {
  std::optional<WarmupSample> sample;
  WireReader fields(message);
  for (WireField field; fields.next(field);) {
    if (field.number != kPredictLog || field.kind != WireField::Kind::kBytes) continue;
    sample.emplace();
    WireReader log(field.bytes);
    for (WireField part; log.next(part);) {
      if (part.kind != WireField::Kind::kBytes) continue;
      if (part.number == kLogRequest) sample->inputs = read_map(part.bytes, kRequestInputs);
      if (part.number == kLogResponse) sample->expected = read_map(part.bytes, kResponseOutputs);
    }
  }
  return sample;
}

void append_map(std::string& out, std::uint32_t number, const Tensors& tensors) {
  for (const NamedTensor& each : tensors) {
    std::string entry;
    append_field(entry, kMapKey, std::string_view(each.name));
    append_field(entry, kMapValue, std::string_view(format_tensor_proto(each.tensor)));
    append_field(out, number, std::string_view(entry));
  }
}

}  // namespace

std::vector<WarmupSample> parse_warmup_records(std::string_view bytes, const std::string& file) {
  std::vector<WarmupSample> samples;
  std::size_t others = 0;
  std::size_t number = 0;
  try {
    while (!bytes.empty()) {
      if (++number > kRecordsMax) refuse(fmt::format("it has more than {} records", kRecordsMax));
      std::optional<WarmupSample> sample = read_log(next_record(bytes));
      if (!sample) {
        ++others;
        continue;
      }
      sample->from = fmt::format("{}, record {}", file, number);
      samples.push_back(std::move(*sample));
    }
  } catch (const Error& error) {
    throw Error(error.code(), fmt::format("{}, record {}: {}", file, number, error.message()));
  }
  if (others > 0) {
    log().warn("{}: {} of {} records are no logs of Predict, and do not warm up", file, others,
               number);
  }
  return samples;
}

std::string format_warmup_record(const WarmupSample& sample, std::string_view model) {
  std::string spec;
  append_field(spec, kModelName, model);
  std::string request;
  append_field(request, kRequestModel, std::string_view(spec));
  append_map(request, kRequestInputs, sample.inputs);
  std::string predict;
  append_field(predict, kLogRequest, std::string_view(request));
  if (!sample.expected.empty()) {
    std::string response;
    append_map(response, kResponseOutputs, sample.expected);
    append_field(predict, kLogResponse, std::string_view(response));
  }
  std::string log;
  append_field(log, kPredictLog, std::string_view(predict));
  std::string record;
  append_little(record, std::uint64_t{log.size()});
  append_little(record, masked_crc(record));
  record += log;
  append_little(record, masked_crc(log));
  return record;
}

}  // namespace baozi::model
