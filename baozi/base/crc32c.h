// CRC-32C (Castagnoli, RFC 3720 appendix B.4): what TFRecord files are checked by.
//
//   crc32c("123456789") == 0xe3069283
//
// Thread safety: free functions.
#pragma once

#include <cstdint>
#include <string_view>

namespace baozi {

std::uint32_t crc32c(std::string_view bytes) noexcept;

}  // namespace baozi
