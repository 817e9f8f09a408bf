#include "baozi/llm/cached_answer.h"

#include <bit>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include "baozi/model/hasher.h"

namespace baozi::llm {
namespace {

static_assert(std::endian::native == std::endian::little, "the format is little-endian");

constexpr std::uint32_t kKind = 0x31'54'58'54;  // "TXT1"

template <class T>
void put(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

// Whether there was that much; then it is taken off.
template <class T>
bool take(std::string_view& from, T& value) noexcept {
  if (from.size() < sizeof value) return false;
  std::memcpy(&value, from.data(), sizeof value);
  from.remove_prefix(sizeof value);
  return true;
}

bool take_chance(std::string_view& from, engine::TokenChance& chance) noexcept {
  return take(from, chance.token) && take(from, chance.logprob);
}

bool take_chances(std::string_view& from, TokenChances& chances) {
  std::uint32_t count = 0;
  if (!take_chance(from, chances.picked) || !take(from, count)) return false;
  for (std::uint32_t i = 0; i < count; ++i) {
    engine::TokenChance chance;
    if (!take_chance(from, chance)) return false;
    chances.likeliest.push_back(chance);
  }
  return true;
}

void add_sampling(model::Hasher& hasher, const engine::Sampling& sampling) {
  hasher.add(sampling.temperature);
  if (sampling.temperature > 0) {
    hasher.add(sampling.top_k);
    hasher.add(sampling.top_p);
    hasher.add(sampling.min_p);
    hasher.add(sampling.seed);
  }
  hasher.add(sampling.penalty_window);
  hasher.add(sampling.repetition_penalty);
  hasher.add(sampling.presence_penalty);
  hasher.add(sampling.frequency_penalty);
  hasher.add(static_cast<std::uint64_t>(sampling.bias.size()));
  for (const auto& [token, bias] : sampling.bias) {
    hasher.add(token);
    hasher.add(bias);
  }
  hasher.add(sampling.grammar);
  hasher.add(sampling.grammar_prefix);
  hasher.add(static_cast<std::uint64_t>(sampling.grammar_triggers.size()));
  for (const engine::GrammarTrigger& trigger : sampling.grammar_triggers) {
    hasher.add(trigger.text);
    hasher.add(trigger.pattern);
  }
}

void add_tokens(model::Hasher& hasher, const std::vector<engine::Token>& tokens) {
  hasher.add(static_cast<std::uint64_t>(tokens.size()));
  hasher.add_bytes(tokens.data(), tokens.size() * sizeof(engine::Token));
}

}  // namespace

Bytes encode_answer(const CachedAnswer& answer, std::size_t room) {
  std::string out(room, '\0');
  put(out, kKind);
  put(out, static_cast<std::uint8_t>(answer.whole.finish.value_or(Finish::kEnd)));
  for (const int number :
       {answer.usage.prompt_tokens, answer.usage.cached_tokens, answer.usage.completion_tokens,
        answer.usage.guessed_tokens, answer.usage.guessed_tokens_right}) {
    put(out, static_cast<std::int32_t>(number));
  }
  put(out, static_cast<std::uint32_t>(answer.whole.text.size()));
  out += answer.whole.text;
  put(out, static_cast<std::uint32_t>(answer.whole.chances.size()));
  for (const TokenChances& each : answer.whole.chances) {
    put(out, each.picked.token);
    put(out, each.picked.logprob);
    put(out, static_cast<std::uint32_t>(each.likeliest.size()));
    for (const engine::TokenChance& chance : each.likeliest) {
      put(out, chance.token);
      put(out, chance.logprob);
    }
  }
  return Bytes::copy_of(out);
}

std::optional<CachedAnswer> decode_answer(const Bytes& block) {
  std::string_view from = block.text();
  std::uint32_t kind = 0;
  std::uint8_t finish = 0;
  if (!take(from, kind) || kind != kKind || !take(from, finish)) return std::nullopt;
  if (finish > static_cast<std::uint8_t>(Finish::kLength)) return std::nullopt;
  CachedAnswer answer;
  answer.whole.finish = static_cast<Finish>(finish);
  CompletionUsage& usage = answer.usage;
  std::int32_t number = 0;
  for (int* to : {&usage.prompt_tokens, &usage.cached_tokens, &usage.completion_tokens,
                  &usage.guessed_tokens, &usage.guessed_tokens_right}) {
    if (!take(from, number) || number < 0) return std::nullopt;
    *to = number;
  }
  std::uint32_t size = 0;
  if (!take(from, size) || from.size() < size) return std::nullopt;
  answer.whole.text = from.substr(0, size);
  from.remove_prefix(size);
  if (!take(from, size)) return std::nullopt;
  for (std::uint32_t i = 0; i < size; ++i) {
    TokenChances chances;
    if (!take_chances(from, chances)) return std::nullopt;
    answer.whole.chances.push_back(std::move(chances));
  }
  if (!from.empty()) return std::nullopt;
  return answer;
}

model::CacheKey answer_key(const model::CacheKey& scope, const CompletionRequest& request) {
  model::Hasher hasher;
  hasher.add(scope);
  hasher.add(request.tenant);
  add_tokens(hasher, request.prompt);
  hasher.add(request.max_tokens);
  add_sampling(hasher, request.sampling);
  hasher.add(static_cast<std::uint64_t>(request.stops.size()));
  for (const std::string& stop : request.stops) hasher.add(stop);
  hasher.add(request.ignore_end);
  hasher.add(request.chances);
  add_tokens(hasher, request.visible);
  hasher.add(request.adapter);
  hasher.add(static_cast<std::uint8_t>(request.overflow));
  return hasher.digest();
}

}  // namespace baozi::llm
