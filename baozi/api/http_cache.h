// What HTTP says of the response cache: Cache-Control and the tenant in a request, Age in an
// answer.
//
// Thread safety: free functions.
#pragma once

#include <optional>
#include <string_view>

#include "baozi/base/clock.h"
#include "baozi/model/request.h"
#include "baozi/net/http.h"

namespace baozi::api {

// A header of ours: whose request it is. Answers are not shared between tenants.
inline constexpr std::string_view kTenantHeader = "x-tenant";

// "Cache-Control: no-store" asks for an answer that is neither looked for nor kept, "no-cache" for
// one that is computed anew, and kept (RFC 9111, section 5.2.1). Other directives change nothing.
model::CacheWish cache_wish(const net::HttpHeaders& headers) noexcept;

// Sets the request's `cache` and `tenant`.
void read_cache_headers(const net::HttpHeaders& headers, model::InferRequest& request);

// "Age", in whole seconds, of an answer that was kept (RFC 9111, section 5.1).
void add_age(const std::optional<Duration>& age, net::HttpResponse& answer);

}  // namespace baozi::api
