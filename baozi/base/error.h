// Error: the one exception type of baozi, with a gRPC status code and the async stack it passed
// through.
//
// Thread safety: an Error is a value; the object in flight is touched only by the task it unwinds.
//
//   throw Error(Code::kNotFound, "model 'x' is not known; there are: minilm, ocr_det");
#pragma once

#include <cstdint>
#include <exception>
#include <source_location>
#include <string>
#include <string_view>
#include <vector>

namespace baozi {

// Numbers and meanings as in gRPC (grpc/status.h), so that every protocol maps from one table.
enum class Code : std::uint8_t {
  kOk = 0,
  kCancelled = 1,
  kUnknown = 2,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kAborted = 10,
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kDataLoss = 15,
  kUnauthenticated = 16,
};

// "INVALID_ARGUMENT" and so on.
std::string_view code_name(Code code) noexcept;

// The HTTP status that stands for `code` (grpc-gateway's table; kResourceExhausted is 429,
// kCancelled 499).
int http_status(Code code) noexcept;

class Error : public std::exception {
 public:
  Error(Code code, std::string message,
        std::source_location where = std::source_location::current());

  Code code() const noexcept { return code_; }
  const std::string& message() const noexcept { return message_; }
  const char* what() const noexcept override { return message_.c_str(); }
  std::source_location where() const noexcept { return where_; }

  // The awaits the error has left so far, innermost first: a stack trace across threads.
  // Each is the source position of a `co_await`. At most kAsyncStackMax are kept.
  const std::vector<std::source_location>& async_stack() const noexcept { return stack_; }
  void add_await(std::source_location site) noexcept;

  // The message followed by one line per frame ("  at file:line function").
  std::string describe() const;

  static constexpr std::size_t kAsyncStackMax = 64;

 private:
  Code code_;
  std::string message_;
  std::source_location where_;
  std::vector<std::source_location> stack_;
};

}  // namespace baozi
