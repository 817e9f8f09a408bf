#include "baozi/api/http_cache.h"

#include <algorithm>
#include <chrono>
#include <string>

namespace baozi::api {
namespace {

char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool same(std::string_view a, std::string_view b) noexcept {
  return std::ranges::equal(a, b, {}, lower, lower);
}

std::string_view trimmed(std::string_view text) noexcept {
  const auto is_space = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

}  // namespace

model::CacheWish cache_wish(const net::HttpHeaders& headers) noexcept {
  model::CacheWish wish = model::CacheWish::kUse;
  for (const net::HttpHeader& header : headers) {
    if (!same(header.name, "Cache-Control")) continue;
    std::string_view left = header.value;
    while (!left.empty()) {
      const std::size_t comma = std::min(left.find(','), left.size());
      const std::string_view directive = trimmed(left.substr(0, comma));
      if (same(directive, "no-store")) return model::CacheWish::kNone;
      if (same(directive, "no-cache")) wish = model::CacheWish::kRefresh;
      left.remove_prefix(std::min(comma + 1, left.size()));
    }
  }
  return wish;
}

void read_cache_headers(const net::HttpHeaders& headers, model::InferRequest& request) {
  request.cache = cache_wish(headers);
  request.tenant = headers.get(kTenantHeader);
}

void add_age(const std::optional<Duration>& age, net::HttpResponse& answer) {
  if (!age) return;
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(*age);
  answer.headers.push_back({"Age", std::to_string(seconds.count())});
}

}  // namespace baozi::api
