// LlamaGrammar: which token may come next by a grammar (GBNF), from the start or from a trigger on.
//
//   LlamaGrammar grammar(vocabulary, sampling);
//   if (!grammar.allows(token)) { grammar.apply(candidates); … }
//   grammar.accept(token);
//
// Thread safety: by one thread at a time.
#pragma once

#include <llama.h>

#include <deque>
#include <memory>
#include <string>
#include <string_view>

#include "baozi/engine/language.h"

namespace baozi::engine {

class LlamaGrammar {
 public:
  // `vocabulary` outlives it. Errors: kInvalidArgument (a grammar that does not parse, or does not
  // begin with its prefix).
  LlamaGrammar(const llama_vocab* vocabulary, const Sampling& sampling);

  bool allows(Token token);
  // Candidates that may not come get a logit of minus infinity.
  void apply(llama_token_data_array& candidates);
  // Errors: kInternal (the token was not allowed).
  void accept(Token token);

 private:
  struct Free {
    void operator()(llama_sampler* sampler) const noexcept { llama_sampler_free(sampler); }
  };
  struct Heard {
    Token token;
    std::size_t size;  // of its text
  };

  void wait_for(const Sampling& sampling);
  void read_prefix(const std::string& prefix);
  void accept_waiting(Token token);
  std::string_view piece(Token token);

  const llama_vocab* const vocabulary_;
  std::unique_ptr<llama_sampler, Free> sampler_;  // null: a waiting one whose trigger did not fit
  // Of a grammar that waits for words: the last tokens, as long as the longest word.
  std::vector<std::string> words_;
  std::deque<Heard> heard_;
  std::string heard_text_;
  bool waits_for_words_ = false;
  std::string piece_;  // reused
};

}  // namespace baozi::engine
