#include "baozi/coro/asio/asio_error.h"

#include <boost/asio/error.hpp>
#include <boost/system/errc.hpp>

namespace baozi {
namespace {

Code code_of(const boost::system::error_code& code) {
  namespace errc = boost::system::errc;
  if (code == boost::asio::error::operation_aborted) return Code::kCancelled;
  if (code == errc::timed_out) return Code::kDeadlineExceeded;
  if (code == errc::permission_denied || code == errc::operation_not_permitted)
    return Code::kPermissionDenied;
  if (code == errc::not_enough_memory || code == errc::no_buffer_space ||
      code == errc::too_many_files_open || code == errc::too_many_files_open_in_system) {
    return Code::kResourceExhausted;
  }
  if (code == errc::address_in_use) return Code::kAlreadyExists;
  if (code == errc::address_not_available || code == errc::invalid_argument)
    return Code::kInvalidArgument;
  if (code == errc::no_such_file_or_directory) return Code::kNotFound;
  return Code::kUnavailable;
}

}  // namespace

Error to_error(const boost::system::error_code& code, std::source_location where) {
  return Error(code_of(code), code.message(), where);
}

}  // namespace baozi
