// NoRoom: the error of a request that was let in and then found no room, with the time when there
// may be some. Refusal says the same before a request is let in.
//
// Thread safety: a value.
#pragma once

#include <optional>
#include <source_location>

#include "baozi/base/error.h"
#include "baozi/model/servable.h"

namespace baozi::model {

class NoRoom final : public Error {
 public:
  NoRoom(const Error& error, int retry_after_s,
         std::source_location where = std::source_location::current())
      : Error(Code::kResourceExhausted, error.message(), where), retry_after_s_(retry_after_s) {}

  int retry_after_s() const noexcept { return retry_after_s_; }

 private:
  int retry_after_s_;
};

// When there may be room behind a cache, which itself refuses nobody; 1 when nobody knows.
inline int retry_after_s(const Servable& inner) noexcept {
  const std::optional<Refusal> refusal = inner.refusal();
  return refusal ? refusal->retry_after_s : 1;
}

}  // namespace baozi::model
