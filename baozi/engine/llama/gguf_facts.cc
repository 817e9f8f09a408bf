#include "baozi/engine/llama/gguf_facts.h"

#include <fmt/format.h>
#include <gguf.h>
#include <llama.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "baozi/base/error.h"
#include "baozi/engine/llama/llama_library.h"

namespace baozi::engine {
namespace {

namespace fs = std::filesystem;

constexpr int kContextDefault = 4096;
constexpr int kContextStep = 256;  // libllama rounds up to it
constexpr std::int64_t kNumberMax =
    1 << 20;  // no model comes near; keeps the estimate's products small

struct FreeGguf {
  void operator()(gguf_context* context) const { gguf_free(context); }
};
using Gguf = std::unique_ptr<gguf_context, FreeGguf>;

[[noreturn]] void refuse(const fs::path& file, std::string_view why) {
  throw Error(Code::kInvalidArgument, fmt::format("{}: {}", file.string(), why));
}

Gguf open(const fs::path& file) {
  if (!fs::exists(file))
    throw Error(Code::kNotFound, fmt::format("{} does not exist", file.string()));
  const LlamaErrors errors;
  Gguf gguf(gguf_init_from_file(file.c_str(), {.no_alloc = true, .ctx = nullptr}));
  if (gguf == nullptr) {
    refuse(file, fmt::format("not a GGUF file, or damaged: {}",
                             errors.first().empty() ? "its head cannot be read" : errors.first()));
  }
  return gguf;
}

// Numbers of any type; of an array, its largest (heads by layer).
std::optional<std::int64_t> number(const gguf_context* gguf, const std::string& key) {
  const std::int64_t id = gguf_find_key(gguf, key.c_str());
  if (id < 0) return std::nullopt;
  switch (gguf_get_kv_type(gguf, id)) {
    case GGUF_TYPE_UINT8:
      return gguf_get_val_u8(gguf, id);
    case GGUF_TYPE_INT8:
      return gguf_get_val_i8(gguf, id);
    case GGUF_TYPE_UINT16:
      return gguf_get_val_u16(gguf, id);
    case GGUF_TYPE_INT16:
      return gguf_get_val_i16(gguf, id);
    case GGUF_TYPE_UINT32:
      return gguf_get_val_u32(gguf, id);
    case GGUF_TYPE_INT32:
      return gguf_get_val_i32(gguf, id);
    case GGUF_TYPE_UINT64:
      return static_cast<std::int64_t>(gguf_get_val_u64(gguf, id));
    case GGUF_TYPE_INT64:
      return gguf_get_val_i64(gguf, id);
    case GGUF_TYPE_ARRAY: {
      const gguf_type type = gguf_get_arr_type(gguf, id);
      if (type != GGUF_TYPE_INT32 && type != GGUF_TYPE_UINT32) return std::nullopt;
      const auto* values = static_cast<const std::int32_t*>(gguf_get_arr_data(gguf, id));
      const std::size_t count = gguf_get_arr_n(gguf, id);
      if (count == 0) return std::nullopt;
      return *std::max_element(values, values + count);
    }
    default:
      return std::nullopt;
  }
}

std::string text(const gguf_context* gguf, const std::string& key) {
  const std::int64_t id = gguf_find_key(gguf, key.c_str());
  if (id < 0 || gguf_get_kv_type(gguf, id) != GGUF_TYPE_STRING) return "";
  return gguf_get_val_str(gguf, id);
}

// Bytes of all tensors; checks that the file holds them.
std::size_t weights(const gguf_context* gguf, const fs::path& file) {
  std::size_t sum = 0;
  std::size_t end = 0;
  for (std::int64_t i = 0; i < gguf_get_n_tensors(gguf); ++i) {
    const std::size_t size = gguf_get_tensor_size(gguf, i);
    sum += size;
    end = std::max(end, gguf_get_tensor_offset(gguf, i) + size);
  }
  const std::size_t needed = gguf_get_data_offset(gguf) + end;
  const std::size_t there = fs::file_size(file);
  if (there < needed) {
    refuse(file, fmt::format("it is cut off: {} bytes of {} are there; download it again", there,
                             needed));
  }
  return sum;
}

}  // namespace

LanguageFacts read_gguf_facts(const fs::path& file, LanguageOptions& options) {
  const Gguf gguf = open(file);
  LanguageFacts facts;
  facts.architecture = text(gguf.get(), "general.architecture");
  if (facts.architecture.empty()) refuse(file, "it names no architecture");
  const auto of_model = [&](const char* key) {
    return number(gguf.get(), facts.architecture + "." + key);
  };
  const std::int64_t layers = of_model("block_count").value_or(0);
  const std::int64_t embedding = of_model("embedding_length").value_or(0);
  const std::int64_t heads = of_model("attention.head_count").value_or(0);
  const std::int64_t trained = of_model("context_length").value_or(0);
  if (layers <= 0 || embedding <= 0 || trained <= 0)
    refuse(file, fmt::format("it is no language model (architecture '{}')", facts.architecture));
  if (layers > kNumberMax || embedding > kNumberMax || heads > kNumberMax || trained > INT32_MAX)
    refuse(file, "its numbers of layers, embedding or heads make no sense");
  facts.layers = static_cast<int>(layers);
  facts.embedding = static_cast<int>(embedding);
  facts.context_trained = static_cast<int>(trained);
  facts.chat_template = text(gguf.get(), "tokenizer.chat_template");
  const std::int64_t words = gguf_find_key(gguf.get(), "tokenizer.ggml.tokens");
  if (words >= 0) facts.vocabulary = static_cast<int>(gguf_get_arr_n(gguf.get(), words));
  facts.memory.weights = weights(gguf.get(), file);

  if (options.context == 0) options.context = std::min(facts.context_trained, kContextDefault);
  options.context = static_cast<int>(GGML_PAD(options.context, kContextStep));
  const auto bounded = [](std::int64_t value) {
    return std::clamp<std::int64_t>(value, 0, kNumberMax);
  };
  const std::int64_t kv_heads = bounded(of_model("attention.head_count_kv").value_or(heads));
  const std::int64_t head = heads > 0 ? embedding / heads : 0;
  const std::int64_t key_length = bounded(of_model("attention.key_length").value_or(head));
  const std::int64_t value_length = bounded(of_model("attention.value_length").value_or(head));
  const ggml_type type = options.kv == KvType::kQ8   ? GGML_TYPE_Q8_0
                         : options.kv == KvType::kQ4 ? GGML_TYPE_Q4_0
                                                     : GGML_TYPE_F16;
  const double bytes_a_number =
      static_cast<double>(ggml_type_size(type)) / static_cast<double>(ggml_blck_size(type));
  facts.memory.kv = static_cast<std::size_t>(static_cast<double>(layers * kv_heads) *
                                             static_cast<double>(key_length + value_length) *
                                             static_cast<double>(options.context) * bytes_a_number);
  // The largest buffers of a step: the logits of every sequence, and the activations of a batch
  // (measured at some twelve times its embedding).
  const std::int64_t outputs = std::min(options.batch, std::max(options.sequences, 1));
  facts.memory.compute = static_cast<std::size_t>(
      4 * (outputs * facts.vocabulary + 12 * std::min(options.batch, 512) * embedding));
  return facts;
}

}  // namespace baozi::engine
