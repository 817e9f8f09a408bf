#include "baozi/base/replace_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <ctime>
#include <exception>
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

constexpr std::string_view kNew = ".new";
constexpr std::time_t kLeftAfterSeconds = 3600;

// Another one each time: threads and processes may write one file at once.
fs::path beside(const fs::path& path) {
  static std::atomic<unsigned> count{0};
  return fmt::format("{}.{}-{}{}", path.string(), ::getpid(), count.fetch_add(1), kNew);
}

bool is_number(std::string_view text) noexcept {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

// A name that beside() gives.
bool is_beside(std::string_view name) noexcept {
  if (!name.ends_with(kNew)) return false;
  name.remove_suffix(kNew.size());
  const std::size_t dot = name.rfind('.');
  if (dot == std::string_view::npos || dot == 0) return false;
  const std::string_view whose = name.substr(dot + 1);
  const std::size_t dash = whose.find('-');
  return dash != std::string_view::npos && is_number(whose.substr(0, dash)) &&
         is_number(whose.substr(dash + 1));
}

bool is_left(const fs::path& file) noexcept {
  struct stat status{};
  return ::lstat(file.c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
         status.st_uid == ::geteuid() &&
         std::time(nullptr) - status.st_mtim.tv_sec > kLeftAfterSeconds;
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

std::size_t remove_leftovers(const fs::path& folder) noexcept {
  std::size_t removed = 0;
  try {
    for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
      const fs::path& file = entry.path();
      if (is_beside(file.filename().native()) && is_left(file) && ::unlink(file.c_str()) == 0)
        ++removed;
    }
  } catch (const std::exception&) {
    // A folder that is not there, or cannot be read, or no memory: what is left stays.
  }
  return removed;
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
