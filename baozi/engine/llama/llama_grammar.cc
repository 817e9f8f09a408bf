#include "baozi/engine/llama/llama_grammar.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <exception>
#include <utility>
#include <vector>

#include "baozi/base/error.h"
#include "baozi/engine/llama/llama_library.h"

namespace baozi::engine {
namespace {

// libllama's parser is recursive: what is nested more deeply could exhaust the stack.
constexpr int kNestingMax = 200;
constexpr std::size_t kGrammarBytesMax = 1 << 20;

[[noreturn]] void refuse(std::string_view why) {
  throw Error(Code::kInvalidArgument, fmt::format("the grammar does not parse: {}", why));
}

// Parentheses that are open at once, outside of literals "…" and classes […].
int nesting(std::string_view grammar) {
  int depth = 0;
  int most = 0;
  char within = '\0';
  for (std::size_t i = 0; i < grammar.size(); ++i) {
    const char c = grammar[i];
    if (within != '\0') {
      if (c == '\\') ++i;
      if (c == within) within = '\0';
    } else if (c == '"') {
      within = '"';
    } else if (c == '[') {
      within = ']';
    } else if (c == '#') {
      within = '\n';
    } else if (c == '(') {
      most = std::max(most, ++depth);
    } else if (c == ')') {
      --depth;
    }
  }
  return most;
}

std::string as_pattern(const GrammarTrigger& trigger) {
  if (trigger.pattern) return trigger.text;
  std::string pattern;
  for (const char c : trigger.text) {
    if (std::string_view("\\^$.|?*+()[]{}/-").find(c) != std::string_view::npos) pattern += '\\';
    pattern += c;
  }
  return pattern;
}

}  // namespace

LlamaGrammar::LlamaGrammar(const llama_vocab* vocabulary, const Sampling& sampling)
    : vocabulary_(vocabulary) {
  if (sampling.grammar.size() > kGrammarBytesMax)
    refuse(fmt::format("it is longer than {} bytes", kGrammarBytesMax));
  if (sampling.grammar.find('\0') != std::string::npos) refuse("it holds a zero byte");
  if (nesting(sampling.grammar) > kNestingMax)
    refuse(fmt::format("its parentheses are nested more than {} deep", kNestingMax));
  const LlamaErrors errors;
  std::string reason;
  try {
    if (sampling.grammar_triggers.empty()) {
      sampler_.reset(llama_sampler_init_grammar(vocabulary_, sampling.grammar.c_str(), "root"));
    } else {
      wait_for(sampling);
    }
  } catch (const std::exception& error) {  // of std::regex and of libllama's parser
    reason = error.what();
  }
  if (sampler_ == nullptr) {
    if (reason.empty()) reason = errors.first().empty() ? "see GBNF" : errors.first();
    refuse(reason);
  }
  if (sampling.grammar_triggers.empty()) read_prefix(sampling.grammar_prefix);
}

void LlamaGrammar::wait_for(const Sampling& sampling) {
  std::vector<std::string> patterns;
  waits_for_words_ = true;
  for (const GrammarTrigger& trigger : sampling.grammar_triggers) {
    if (trigger.text.empty()) refuse("one of its triggers is empty");
    patterns.push_back(as_pattern(trigger));
    words_.push_back(trigger.text);
    waits_for_words_ = waits_for_words_ && !trigger.pattern;
  }
  std::vector<const char*> texts;
  for (const std::string& pattern : patterns) texts.push_back(pattern.c_str());
  sampler_.reset(llama_sampler_init_grammar_lazy_patterns(
      vocabulary_, sampling.grammar.c_str(), "root", texts.data(), texts.size(), nullptr, 0));
}

void LlamaGrammar::read_prefix(const std::string& prefix) {
  if (prefix.empty()) return;
  std::vector<Token> tokens(prefix.size() + 2);
  const std::int32_t count =
      llama_tokenize(vocabulary_, prefix.data(), static_cast<std::int32_t>(prefix.size()),
                     tokens.data(), static_cast<std::int32_t>(tokens.size()), false, true);
  if (count < 0) throw Error(Code::kInternal, "the grammar's prefix gives too many tokens");
  tokens.resize(static_cast<std::size_t>(count));
  const auto is_space = [](char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; };
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const std::string_view text = piece(tokens[i]);
    // Some vocabularies put a space before the first word.
    if (i == 0 && !text.empty() && is_space(text[0]) && !is_space(prefix[0])) continue;
    if (!allows(tokens[i])) refuse("it does not begin with its prefix");
    accept(tokens[i]);
  }
}

bool LlamaGrammar::allows(Token token) {
  llama_token_data one{token, 1, 0};
  llama_token_data_array array{&one, 1, -1, false};
  apply(array);
  return !std::isinf(one.logit);
}

void LlamaGrammar::apply(llama_token_data_array& candidates) {
  if (sampler_ != nullptr) llama_sampler_apply(sampler_.get(), &candidates);
}

void LlamaGrammar::accept(Token token) {
  if (sampler_ == nullptr) return;
  if (waits_for_words_) {
    accept_waiting(token);
    return;
  }
  try {
    llama_sampler_accept(sampler_.get(), token);
  } catch (const std::exception& error) {
    throw Error(Code::kInternal, fmt::format("the grammar: {}", error.what()));
  }
}

// libllama would search all of the answer for the trigger again with every token; so it hears
// only of those that hold one.
void LlamaGrammar::accept_waiting(Token token) {
  const std::string_view text = piece(token);
  heard_.push_back({token, text.size()});
  heard_text_ += text;
  const bool found = std::ranges::any_of(
      words_, [&](const std::string& word) { return heard_text_.find(word) != std::string::npos; });
  if (!found) {
    const std::size_t longest = std::ranges::max(words_, {}, &std::string::size).size();
    while (heard_text_.size() - heard_.front().size >= longest) {
      heard_text_.erase(0, heard_.front().size);
      heard_.pop_front();
    }
    return;
  }
  waits_for_words_ = false;
  try {
    for (const Heard& each : heard_) llama_sampler_accept(sampler_.get(), each.token);
  } catch (const std::exception&) {
    // The token that ended the trigger held more, which the grammar does not know: the answer
    // goes on without it.
    sampler_.reset();
  }
}

std::string_view LlamaGrammar::piece(Token token) {
  piece_.resize(std::max<std::size_t>(piece_.capacity(), 64));
  const auto write = [&] {
    return llama_token_to_piece(vocabulary_, token, piece_.data(),
                                static_cast<std::int32_t>(piece_.size()), 0, true);
  };
  std::int32_t size = write();
  if (size < 0) {
    piece_.resize(static_cast<std::size_t>(-size));
    size = write();
  }
  return std::string_view(piece_).substr(0, static_cast<std::size_t>(size));
}

}  // namespace baozi::engine
