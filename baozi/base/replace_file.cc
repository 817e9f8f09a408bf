#include "baozi/base/replace_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <string>
#include <system_error>

#include "baozi/base/error.h"

namespace baozi {
namespace {

namespace fs = std::filesystem;

// 0, or what errno says.
int write_all(int file, std::string_view bytes) noexcept {
  while (!bytes.empty()) {
    const ssize_t put = ::write(file, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return errno;
    bytes.remove_prefix(static_cast<std::size_t>(put));
  }
  return 0;
}

int write_new(const fs::path& made, std::initializer_list<std::string_view> pieces,
              const ReplaceOptions& options) noexcept {
  const int file =
      ::open(made.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, options.mode);
  if (file < 0) return errno;
  int why = 0;
  for (const std::string_view piece : pieces) {
    if (why == 0) why = write_all(file, piece);
  }
  if (why == 0 && options.flush && ::fsync(file) != 0) why = errno;
  if (::close(file) != 0 && why == 0) why = errno;
  return why;
}

// The new name lasts, too. A file system that cannot say so has to be believed.
void flush_folder(const fs::path& folder) noexcept {
  const int file = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (file < 0) return;
  (void)::fsync(file);
  ::close(file);
}

// Another one each time: threads and processes may write one file at once.
fs::path beside(const fs::path& path) {
  static std::atomic<unsigned> count{0};
  return fmt::format("{}.{}-{}.new", path.string(), ::getpid(), count.fetch_add(1));
}

}  // namespace

void replace_file(const fs::path& path, std::initializer_list<std::string_view> pieces,
                  const ReplaceOptions& options) {
  std::error_code failed;  // then the file cannot be opened, either
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  fs::create_directories(folder, failed);
  const fs::path made = beside(path);
  int why = write_new(made, pieces, options);
  if (why == 0 && ::rename(made.c_str(), path.c_str()) != 0) why = errno;
  if (why != 0) {
    ::unlink(made.c_str());
    throw_not_written(path, why);
  }
  if (options.flush) flush_folder(folder);
}

void throw_not_written(const fs::path& path, int why) {
  const std::string reason = std::generic_category().message(why);
  if (why == ENOSPC || why == EDQUOT || why == EFBIG) {
    throw Error(Code::kResourceExhausted,
                fmt::format("cannot write {}: {}; make room there, or name another folder",
                            path.string(), reason));
  }
  if (why == EACCES || why == EPERM || why == EROFS) {
    throw Error(
        Code::kPermissionDenied,
        fmt::format("cannot write {}: {}; let this user write there, or name another folder",
                    path.string(), reason));
  }
  throw Error(Code::kUnavailable, fmt::format("cannot write {}: {}", path.string(), reason));
}

}  // namespace baozi
