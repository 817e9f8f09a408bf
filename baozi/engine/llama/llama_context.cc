#include "baozi/engine/llama/llama_context.h"

#include <fmt/format.h>
#include <llama.h>

#include <algorithm>
#include <utility>

#include "baozi/base/error.h"
#include "baozi/engine/llama/llama_library.h"
#include "baozi/engine/llama/llama_threads.h"

namespace baozi::engine {
namespace {

struct FreeContext {
  void operator()(llama_context* context) const noexcept { llama_free(context); }
};

ggml_type kv_type(KvType type) {
  switch (type) {
    case KvType::kQ8:
      return GGML_TYPE_Q8_0;
    case KvType::kQ4:
      return GGML_TYPE_Q4_0;
    case KvType::kF16:
      break;
  }
  return GGML_TYPE_F16;
}

class LlamaContext final : public LanguageContext {
 public:
  LlamaContext(LlamaModelHandle model, LlamaAdapters adapters, const LanguageOptions& options)
      : model_(std::move(model)),
        adapters_(std::move(adapters)),
        batch_max_(static_cast<std::size_t>(options.batch)),
        sequences_(options.sequences),
        threads_max_(options.threads),
        pool_(llama_threads(options.threads)),
        threads_(options.threads),
        vocabulary_(
            static_cast<std::size_t>(llama_vocab_n_tokens(llama_model_get_vocab(model_.get())))),
        tokens_(batch_max_),
        positions_(batch_max_),
        counts_(batch_max_, 1),
        sequence_ids_(batch_max_),
        sequence_lists_(batch_max_),
        outputs_(batch_max_),
        first_(static_cast<std::size_t>(options.sequences)) {
    for (const LanguageAdapter& each : options.adapters) scales_.push_back(each.scale);
    llama_context_params parameters = llama_context_default_params();
    parameters.n_ctx = static_cast<std::uint32_t>(options.context);
    parameters.n_batch = static_cast<std::uint32_t>(options.batch);
    parameters.n_ubatch = parameters.n_batch;
    parameters.n_seq_max = static_cast<std::uint32_t>(options.sequences) + 1;  // and the spare one
    parameters.n_threads = options.threads;
    parameters.n_threads_batch = options.threads;
    parameters.type_k = kv_type(options.kv);
    parameters.type_v = kv_type(options.kv);
    // Quantised values need it.
    if (options.kv != KvType::kF16) parameters.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_ENABLED;
    parameters.kv_unified = true;  // sequences share cells
    parameters.no_perf = true;
    parameters.abort_callback = &LlamaContext::asked_to_stop;
    parameters.abort_callback_data = this;
    const LlamaErrors errors;
    context_.reset(llama_init_from_model(model_.get(), parameters));
    if (context_ == nullptr) {
      throw Error(
          Code::kResourceExhausted,
          fmt::format("no context of {} tokens: {}", options.context,
                      errors.first().empty() ? "llama.cpp gave no reason" : errors.first()));
    }
    if (pool_ != nullptr) llama_attach_threadpool(context_.get(), pool_.get(), pool_.get());
    memory_ = llama_get_memory(context_.get());
    batch_max_ = std::min(batch_max_, static_cast<std::size_t>(llama_n_batch(context_.get())));
    for (std::size_t i = 0; i < batch_max_; ++i) sequence_lists_[i] = &sequence_ids_[i];
  }

  void decode(std::span<const Step> steps, const StopToken& stop) override {
    check(steps);
    throw_if_stopped(stop);
    std::ranges::fill(first_, -1);
    for (std::size_t i = 0; i < steps.size(); ++i) {
      tokens_[i] = steps[i].token;
      positions_[i] = steps[i].position;
      sequence_ids_[i] = steps[i].sequence;
      outputs_[i] = steps[i].output ? 1 : 0;
      int& first = first_[static_cast<std::size_t>(steps[i].sequence)];
      first = first < 0 ? steps[i].position : std::min(first, steps[i].position);
    }
    stop_ = &stop;
    const LlamaErrors errors;
    const int result =
        llama_decode(context_.get(), {.n_tokens = static_cast<std::int32_t>(steps.size()),
                                      .token = tokens_.data(),
                                      .embd = nullptr,
                                      .pos = positions_.data(),
                                      .n_seq_id = counts_.data(),
                                      .seq_id = sequence_lists_.data(),
                                      .logits = outputs_.data()});
    stop_ = nullptr;
    if (result == 0) return;
    // Of a batch that ended early some part may be in the memory.
    for (int sequence = 0; sequence < sequences_; ++sequence) {
      const int first = first_[static_cast<std::size_t>(sequence)];
      if (first >= 0) llama_memory_seq_rm(memory_, sequence, first, -1);
    }
    throw_if_stopped(stop);
    if (result == 1)
      throw Error(Code::kResourceExhausted, "the KV memory has no room for these tokens");
    throw Error(result == -1 ? Code::kInvalidArgument : Code::kInternal,
                fmt::format("llama.cpp could not compute a step ({}): {}", result,
                            errors.first().empty() ? "it gave no reason" : errors.first()));
  }

  std::span<const float> logits(std::size_t step) const override {
    const float* values = llama_get_logits_ith(context_.get(), static_cast<std::int32_t>(step));
    if (values == nullptr)
      throw Error(Code::kInvalidArgument, fmt::format("step {} has no output", step));
    return {values, vocabulary_};
  }

  void forget(int sequence, int begin, int end) override {
    llama_memory_seq_rm(memory_, sequence, begin, end);
  }

  void share(int from, int to, int begin, int end) override {
    llama_memory_seq_cp(memory_, from, to, begin, end);
  }

  // libllama saves and restores whole sequences: a part becomes one for a moment.
  std::vector<std::byte> save(int sequence, int begin, int end) override {
    share(sequence, spare(), begin, end);
    std::vector<std::byte> bytes(llama_state_seq_get_size(context_.get(), spare()));
    const std::size_t written = llama_state_seq_get_data(
        context_.get(), reinterpret_cast<std::uint8_t*>(bytes.data()), bytes.size(), spare());
    forget(spare(), 0, -1);
    bytes.resize(written);
    return bytes;
  }

  void restore(int sequence, int begin, int end, std::span<const std::byte> bytes) override {
    const LlamaErrors errors;
    const std::size_t read = llama_state_seq_set_data(
        context_.get(), reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size(), spare());
    if (read != 0) share(spare(), sequence, begin, end);
    forget(spare(), 0, -1);
    if (read != 0) return;
    throw Error(Code::kInvalidArgument,
                fmt::format("these bytes are no sequence of this model: {}",
                            errors.first().empty() ? "damaged, or no room" : errors.first()));
  }

  void use_adapter(int adapter) override {
    if (adapter == adapter_) return;
    if (adapter < 0 || static_cast<std::size_t>(adapter) > adapters_.size())
      throw Error(Code::kInvalidArgument, fmt::format("there is no adapter {}", adapter));
    const auto at = static_cast<std::size_t>(std::max(adapter - 1, 0));
    llama_set_adapters_lora(context_.get(), adapters_.data() + at, adapter > 0 ? 1 : 0,
                            scales_.data() + at);
    adapter_ = adapter;
  }

  void use_threads(int threads) override {
    if (threads == threads_) return;
    llama_set_n_threads(context_.get(), threads, threads);
    threads_ = threads;
  }

  int threads_max() const noexcept override { return threads_max_; }
  int capacity() const noexcept override { return static_cast<int>(llama_n_ctx(context_.get())); }
  int steps_max() const noexcept override { return static_cast<int>(batch_max_); }

 private:
  int spare() const noexcept { return sequences_; }

  static bool asked_to_stop(void* self) noexcept {
    const StopToken* stop = static_cast<LlamaContext*>(self)->stop_;
    return stop != nullptr && stop->stop_requested();
  }

  void check(std::span<const Step> steps) const {
    if (steps.empty() || steps.size() > batch_max_) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("a decode takes 1 … {} steps, not {}", batch_max_, steps.size()));
    }
    for (const Step& step : steps) {
      if (step.sequence < 0 || step.sequence >= sequences_ || step.position < 0 || step.token < 0 ||
          static_cast<std::size_t>(step.token) >= vocabulary_) {
        throw Error(Code::kInvalidArgument,
                    fmt::format("no such step: token {}, position {}, sequence {}", step.token,
                                step.position, step.sequence));
      }
    }
  }

  const LlamaModelHandle model_;
  LlamaAdapters adapters_;
  std::vector<float> scales_;  // of the adapters
  std::size_t batch_max_;      // constant after construction
  const int sequences_;
  const int threads_max_;
  const LlamaThreads pool_;  // outlives context_
  int threads_;
  int adapter_ = 0;
  const std::size_t vocabulary_;
  std::unique_ptr<llama_context, FreeContext> context_;
  llama_memory_t memory_ = nullptr;
  const StopToken* stop_ = nullptr;  // while decode() runs
  // The batch as libllama takes it; nothing is allocated by a decode.
  std::vector<llama_token> tokens_;
  std::vector<llama_pos> positions_;
  std::vector<std::int32_t> counts_;
  std::vector<llama_seq_id> sequence_ids_;
  std::vector<llama_seq_id*> sequence_lists_;
  std::vector<std::int8_t> outputs_;
  std::vector<int> first_;  // position of each sequence's first step in this batch; -1: none
};

}  // namespace

std::unique_ptr<LanguageContext> create_llama_context(LlamaModelHandle model,
                                                      LlamaAdapters adapters,
                                                      const LanguageOptions& options) {
  if (options.context < 1 || options.batch < 1 || options.sequences < 1 ||
      static_cast<std::size_t>(options.sequences) >= llama_max_parallel_sequences()) {
    throw Error(Code::kInvalidArgument,
                fmt::format("context, batch and sequences must be at least 1, and sequences at "
                            "most {}",
                            llama_max_parallel_sequences() - 1));
  }
  return std::make_unique<LlamaContext>(std::move(model), std::move(adapters), options);
}

}  // namespace baozi::engine
