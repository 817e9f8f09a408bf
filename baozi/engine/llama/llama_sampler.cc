#include "baozi/engine/llama/llama_sampler.h"

#include <fmt/format.h>
#include <llama.h>

#include <cmath>
#include <optional>
#include <utility>

#include "baozi/base/error.h"
#include "baozi/engine/llama/llama_grammar.h"
#include "baozi/engine/token_chances.h"

namespace baozi::engine {
namespace {

struct FreeSampler {
  void operator()(llama_sampler* sampler) const noexcept { llama_sampler_free(sampler); }
};
using SamplerHandle = std::unique_ptr<llama_sampler, FreeSampler>;

void check_range(std::string_view name, double value, double least, double most) {
  if (value >= least && value <= most) return;  // false for NaN
  throw Error(Code::kInvalidArgument,
              fmt::format("'{}' is {}, but must be between {} and {}", name, value, least, most));
}

void check(const Sampling& sampling, int vocabulary) {
  check_range("temperature", sampling.temperature, 0, 100);
  check_range("top_k", sampling.top_k, 0, 1e9);
  check_range("top_p", sampling.top_p, 0, 1);
  if (sampling.top_p == 0)
    throw Error(Code::kInvalidArgument, "'top_p' is 0, but must be above it, and at most 1");
  check_range("min_p", sampling.min_p, 0, 1);
  check_range("penalty_window", sampling.penalty_window, 0, 1e6);
  check_range("repetition_penalty", sampling.repetition_penalty, 0.01, 100);
  check_range("presence_penalty", sampling.presence_penalty, -100, 100);
  check_range("frequency_penalty", sampling.frequency_penalty, -100, 100);
  for (const auto& [token, bias] : sampling.bias) {
    check_range("logit_bias", bias, -1e4, 1e4);
    if (token < 0 || token >= vocabulary) {
      throw Error(Code::kInvalidArgument, fmt::format("logit_bias: there is no token {}", token));
    }
  }
}

class LlamaSampler final : public Sampler {
 public:
  LlamaSampler(LlamaModelHandle model, const Sampling& sampling)
      : model_(std::move(model)),
        vocabulary_(llama_model_get_vocab(model_.get())),
        candidates_(static_cast<std::size_t>(llama_vocab_n_tokens(vocabulary_))) {
    const int words = static_cast<int>(candidates_.size());
    check(sampling, words);
    chain_.reset(llama_sampler_chain_init({.no_perf = true}));
    // In llama.cpp's own order.
    if (!sampling.bias.empty()) {
      std::vector<llama_logit_bias> bias;
      for (const auto& [token, value] : sampling.bias) bias.push_back({token, value});
      add(llama_sampler_init_logit_bias(words, static_cast<std::int32_t>(bias.size()),
                                        bias.data()));
    }
    if (sampling.repetition_penalty != 1 || sampling.presence_penalty != 0 ||
        sampling.frequency_penalty != 0) {
      add(llama_sampler_init_penalties(words, sampling.penalty_window, sampling.repetition_penalty,
                                       sampling.frequency_penalty, sampling.presence_penalty));
    }
    if (sampling.temperature == 0) {
      add(llama_sampler_init_greedy());
    } else {
      add(llama_sampler_init_top_k(sampling.top_k));
      add(llama_sampler_init_top_p(sampling.top_p, 1));
      add(llama_sampler_init_min_p(sampling.min_p, 1));
      add(llama_sampler_init_temp(sampling.temperature));
      add(llama_sampler_init_dist(sampling.seed));
    }
    if (!sampling.grammar.empty()) grammar_.emplace(vocabulary_, sampling);
  }

  // The grammar is asked about the one token that was picked; only when it says no, about all.
  Token sample(std::span<const float> logits) override {
    Token picked = pick(logits, false);
    if (grammar_.has_value() && !grammar_->allows(picked)) {
      picked = pick(logits, true);
      if (!grammar_->allows(picked)) {
        throw Error(Code::kInvalidArgument,
                    "the grammar leads to where no token of the model fits");
      }
    }
    llama_sampler_accept(chain_.get(), picked);
    if (grammar_.has_value()) grammar_->accept(picked);
    return picked;
  }

  // A grammar is of the answer only.
  void accept(Token token) override { llama_sampler_accept(chain_.get(), token); }

  Chances chances(std::span<const float> logits, Token picked, int top) override {
    return chances_.of(logits, picked, top);
  }

 private:
  void add(llama_sampler* sampler) { llama_sampler_chain_add(chain_.get(), sampler); }

  Token pick(std::span<const float> logits, bool by_grammar) {
    for (std::size_t i = 0; i < candidates_.size(); ++i)
      candidates_[i] = {static_cast<Token>(i), logits[i], 0};
    llama_token_data_array array{candidates_.data(), candidates_.size(), -1, false};
    if (by_grammar) grammar_->apply(array);
    llama_sampler_apply(chain_.get(), &array);
    if (array.selected < 0) throw Error(Code::kInternal, "no token was selected");
    return array.data[array.selected].id;
  }

  const LlamaModelHandle model_;
  const llama_vocab* const vocabulary_;
  SamplerHandle chain_;
  std::optional<LlamaGrammar> grammar_;
  TokenChances chances_;
  std::vector<llama_token_data> candidates_;  // reused; nothing is allocated by a sample
};

}  // namespace

std::unique_ptr<Sampler> create_llama_sampler(LlamaModelHandle model, const Sampling& sampling) {
  return std::make_unique<LlamaSampler>(std::move(model), sampling);
}

}  // namespace baozi::engine
