// Bytes as a start record: what is read of them can be used, written and read again; or they are as
// good as no record.
#include <unistd.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "baozi/base/log.h"
#include "baozi/serve/start_record.h"

namespace {

constexpr std::chrono::sys_seconds kNow{std::chrono::seconds(1'800'000'000)};

bool is_use(double uses) { return std::isfinite(uses) && uses >= 0; }

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using baozi::serve::StartRecord;
  baozi::log().set_level(spdlog::level::off);
  static const std::filesystem::path file =
      std::filesystem::temp_directory_path() / ("baozi-start-fuzz-" + std::to_string(::getpid()));
  std::ofstream(file, std::ios::binary)
      .write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
  StartRecord record(file, kNow);
  const double before = record.uses("bun");
  if (!is_use(before) || record.load_time("bun") < baozi::Duration::zero()) std::abort();
  record.used("bun", 1);
  record.save(kNow);
  const StartRecord again(file, kNow);
  const double after = again.uses("bun");
  // Written with some six digits; so many uses that one more is none are cut.
  if (!is_use(after) || after + 1 < before * 0.999) std::abort();
  if (again.bytes("bun") != record.bytes("bun")) std::abort();
  std::filesystem::remove(file);
  return 0;
}
