// What an Asio error means in baozi's codes.
#pragma once

#include <boost/system/error_code.hpp>

#include "baozi/base/error.h"

namespace baozi {

// kCancelled for an aborted operation, kDeadlineExceeded for a timeout, kPermissionDenied,
// kResourceExhausted, kAlreadyExists, kInvalidArgument and kNotFound where the system says so;
// kUnavailable for whatever the network does to a connection.
Error to_error(const boost::system::error_code& code,
               std::source_location where = std::source_location::current());

}  // namespace baozi
