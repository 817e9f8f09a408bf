#include "baozi/engine/prepared_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <system_error>
#include <thread>
#include <utility>

#include "baozi/base/error.h"
#include "baozi/base/replace_file.h"
#include "baozi/engine/descriptor.h"
#include "baozi/engine/file_stamp.h"

namespace baozi::engine {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kManifest = "manifest";
constexpr std::string_view kVerified = "verified";
constexpr std::string_view kLock = "lock";
constexpr std::string_view kMemo = ".model";     // extension
constexpr std::string_view kLeftover = ".new-";  // what is being made, or taken away
constexpr std::size_t kTextMax = 1 << 20;
constexpr std::size_t kNameSize = 32;
constexpr auto kLockPoll = std::chrono::milliseconds(50);

std::optional<std::string> read_small(const fs::path& file) {
  const Descriptor descriptor(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!descriptor) return std::nullopt;
  std::string text(4096, '\0');
  std::size_t size = 0;
  while (size <= kTextMax) {
    if (size == text.size()) text.resize(2 * text.size());
    const ssize_t got = ::read(descriptor.get(), text.data() + size, text.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return std::nullopt;
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  text.resize(size);
  return text;
}

void write_small(const fs::path& file, std::string_view text) {
  const Descriptor descriptor(
      ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, S_IRUSR | S_IWUSR));
  if (!descriptor) throw_not_written(file, errno);
  while (!text.empty()) {
    const ssize_t put = ::write(descriptor.get(), text.data(), text.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) throw_not_written(file, errno);
    text.remove_prefix(static_cast<std::size_t>(put));
  }
}

void flush(const fs::path& path) {
  const Descriptor descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!descriptor || ::fsync(descriptor.get()) != 0) throw_not_written(path, errno);
}

// A note appears whole, or not at all; one that a crash of the system garbles is none.
void replace_small(const fs::path& file, const fs::path& beside, std::string_view text) noexcept {
  try {
    write_small(beside, text);
    if (::rename(beside.c_str(), file.c_str()) == 0) return;
  } catch (const Error&) {
    // A note is not worth a word: what it would have saved is done again.
  }
  ::unlink(beside.c_str());
}

bool is_artefact(const fs::path& path) {
  return path.filename().native().size() == kNameSize && !path.has_extension();
}

std::optional<PreparedManifest> read_manifest(const fs::path& folder) {
  const std::optional<std::string> text = read_small(folder / kManifest);
  return text ? parse_manifest(*text) : std::nullopt;
}

// Says it when whoever wrote to `folder` failed for want of room, whatever they said themselves.
void throw_if_full(const fs::path& folder) {
  rlimit most{};
  if (::getrlimit(RLIMIT_FSIZE, &most) == 0 && most.rlim_cur != RLIM_INFINITY) {
    for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
      if (entry.file_size() >= most.rlim_cur) throw_not_written(entry.path(), EFBIG);
    }
  }
  constexpr std::size_t kProbe = 64 << 10;
  write_small(folder / "probe", std::string(kProbe, '\0'));
}

// The text of the note that the files, as they are now, were compared with their checksums;
// nothing when one is missing or has another size.
std::optional<std::string> verified_text(const fs::path& folder, const PreparedManifest& manifest) {
  RecordLines lines;
  for (const FileEntry& entry : manifest.files) {
    const fs::path file = folder / entry.name;
    std::error_code failed;
    const std::optional<std::string> stamp = file_stamp(file);
    if (!stamp || fs::file_size(file, failed) != entry.size || failed) return std::nullopt;
    lines.push_back({"file", fmt::format("{} {}", *stamp, entry.name)});
  }
  return seal(lines);
}

bool any_changed_just_now(const fs::path& folder, const PreparedManifest& manifest) {
  return std::ranges::any_of(manifest.files, [&](const FileEntry& entry) {
    return changed_just_now(folder / entry.name);
  });
}

// Notes that the files are sound; only the user who found out may be believed, so the note is
// theirs, and only as long as nobody else can write it.
void note_verified(const fs::path& folder, const PreparedManifest& manifest) noexcept {
  if (any_changed_just_now(folder, manifest)) return;
  if (const std::optional<std::string> text = verified_text(folder, manifest)) {
    replace_small(folder / kVerified, folder / fmt::format("{}{}", kLeftover, ::getpid()), *text);
  }
}

bool is_own(const fs::path& file) {
  struct stat status{};
  return ::stat(file.c_str(), &status) == 0 && status.st_uid == ::geteuid() &&
         (status.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

std::uint64_t bytes_of(const PreparedManifest& manifest) {
  std::uint64_t bytes = 0;
  for (const FileEntry& entry : manifest.files) bytes += entry.size;
  return bytes;
}

void make_folder(const fs::path& folder) {
  std::error_code failed;
  if (fs::create_directories(folder, failed))
    fs::permissions(folder, fs::perms::owner_all, failed);  // models may be secret
  if (failed) throw_not_written(folder, failed.value());
}

}  // namespace

// One process makes, or cleans, at a time. The system lets go of it when the process ends, however
// it ends.
class PreparedStore::Lock {
 public:
  Lock(const fs::path& folder, const StopToken& stop) : file_(open_in(folder)) {
    while (::flock(file_.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK && errno != EINTR) throw_not_written(folder / kLock, errno);
      throw_if_stopped(stop);
      std::this_thread::sleep_for(kLockPoll);
    }
  }

 private:
  static int open_in(const fs::path& folder) {
    const int file =
        ::open((folder / kLock).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (file < 0) throw_not_written(folder, errno);
    return file;
  }

  Descriptor file_;
};

PreparedStore::PreparedStore(PreparedOptions options, Warn warn)
    : options_(std::move(options)), warn_(std::move(warn)) {}

void PreparedStore::warn(std::string_view text) const {
  if (warn_) warn_(text);
}

fs::path PreparedStore::place_of(const PreparedKey& key) const {
  return options_.folder / key.name();
}

fs::path PreparedStore::memo_of(const fs::path& model) const {
  const std::string path = fs::absolute(model).lexically_normal().string();
  return options_.folder / (combined(path, "") + std::string(kMemo));
}

std::optional<PreparedStore::Source> PreparedStore::remembered(const fs::path& model) const {
  const fs::path memo = memo_of(model);
  const std::optional<std::string> text = is_own(memo) ? read_small(memo) : std::nullopt;
  const std::optional<SourceRecord> record = text ? parse_source(*text) : std::nullopt;
  if (!record || record->files[0].name != fs::absolute(model).lexically_normal())
    return std::nullopt;
  for (const FileEntry& entry : record->files) {
    if (file_stamp(entry.name) != entry.checksum) return std::nullopt;
  }
  return Source{record->digest, record->bytes};
}

PreparedStore::Source PreparedStore::source(const fs::path& model, const FindOthers& others,
                                            const StopToken& stop) const {
  if (std::optional<Source> known = remembered(model)) return *std::move(known);
  std::vector<fs::path> files{fs::absolute(model).lexically_normal()};
  for (const fs::path& other : others()) files.push_back(other);
  SourceRecord record;
  bool lasting = true;
  for (const fs::path& file : files) {
    lasting &= !changed_just_now(file);
    const std::optional<std::string> before = file_stamp(file);
    const Checksum checksum = checksum_of(file, stop);
    lasting &= before.has_value() && file_stamp(file) == before;
    record.digest =
        record.digest.empty() ? checksum.digest : combined(record.digest, checksum.digest);
    record.bytes += checksum.size;
    record.files.push_back({file.string(), checksum.size, before.value_or("")});
  }
  if (lasting && !options_.folder.empty()) remember(memo_of(model), record);
  return {record.digest, record.bytes};
}

void PreparedStore::remember(const fs::path& memo, const SourceRecord& record) const {
  try {
    make_folder(options_.folder);
  } catch (const Error&) {
    return;  // whoever makes an artefact there says so
  }
  const std::string beside = fmt::format("{}{}-{}", kLeftover, memo.stem().string(), ::getpid());
  replace_small(memo, options_.folder / beside, format_source(record));
}

std::optional<fs::path> PreparedStore::find(const PreparedKey& key, const StopToken& stop) const {
  const fs::path folder = place_of(key);
  std::error_code failed;
  if (options_.folder.empty() || !fs::is_directory(folder, failed)) return std::nullopt;
  const std::optional<PreparedManifest> manifest = read_manifest(folder);
  if (!manifest || manifest->key != key || !sound(folder, *manifest, stop)) {
    if (!fs::is_directory(folder, failed)) return std::nullopt;  // removed by another meanwhile
    drop(key, "it is damaged");
    return std::nullopt;
  }
  // Used now; on a read-only file system never.
  ::utimensat(AT_FDCWD, (folder / kManifest).c_str(), nullptr, 0);
  return folder;
}

bool PreparedStore::sound(const fs::path& folder, const PreparedManifest& manifest,
                          const StopToken& stop) const {
  const std::optional<std::string> now = verified_text(folder, manifest);
  if (!now) return false;
  const fs::path note = folder / kVerified;
  if (is_own(note) && read_small(note) == now && !any_changed_just_now(folder, manifest))
    return true;
  try {
    for (const FileEntry& entry : manifest.files) {
      const Checksum checksum = checksum_of(folder / entry.name, stop);
      if (checksum.digest != entry.checksum || checksum.size != entry.size) return false;
    }
  } catch (const Error&) {
    throw_if_stopped(stop);
    return false;
  }
  note_verified(folder, manifest);
  return true;
}

bool PreparedStore::contains(const PreparedKey& key) const {
  std::error_code failed;
  return !options_.folder.empty() && fs::exists(place_of(key) / kManifest, failed);
}

bool PreparedStore::has_of_size(std::uint64_t bytes) const {
  return std::ranges::any_of(
      list(), [&](const Artefact& each) { return each.manifest.source_bytes == bytes; });
}

bool PreparedStore::make(const Made& what, const Write& write, const StopToken& stop) const {
  const auto& [key, model, model_bytes] = what;
  if (options_.folder.empty()) {
    throw Error(Code::kFailedPrecondition, "there is no folder for prepared artefacts");
  }
  make_folder(options_.folder);
  const Lock lock(options_.folder, stop);
  if (contains(key)) return false;
  remove_leftovers_locked();
  const fs::path made = options_.folder / (std::string(kLeftover) + key.name());
  struct Removal {  // of what was not moved to its place
    const fs::path& folder;
    ~Removal() {
      std::error_code ignored;
      fs::remove_all(folder, ignored);
    }
  } const removal{made};
  std::error_code failed;
  if (!fs::create_directory(made, failed))
    throw_not_written(made, failed ? failed.value() : EEXIST);
  fs::permissions(made, fs::perms::owner_all, failed);
  try {
    write(made);
  } catch (const Error&) {
    throw_if_full(made);
    throw;
  }
  throw_if_stopped(stop);

  PreparedManifest manifest{key, fs::absolute(model).lexically_normal().string(), model_bytes, {}};
  for (const fs::directory_entry& entry : fs::directory_iterator(made)) {
    flush(entry.path());
    const Checksum checksum = checksum_of(entry.path(), stop);
    manifest.files.push_back({entry.path().filename().string(), checksum.size, checksum.digest});
  }
  std::ranges::sort(manifest.files, {}, &FileEntry::name);
  const std::uint64_t bytes = bytes_of(manifest);
  if (bytes > options_.bytes_max) {
    throw Error(Code::kResourceExhausted,
                fmt::format("what was prepared of {} takes {} bytes, more than the {} that {} may "
                            "take; raise bytes_max",
                            model.string(), bytes, options_.bytes_max, options_.folder.string()));
  }
  make_room_locked(bytes);
  write_small(made / kManifest, format_manifest(manifest));
  flush(made / kManifest);
  note_verified(made, manifest);
  flush(made);
  const fs::path place = place_of(key);
  remove(place);  // one without a manifest
  if (::rename(made.c_str(), place.c_str()) != 0) throw_not_written(place, errno);
  flush(options_.folder);
  return true;
}

void PreparedStore::drop(const PreparedKey& key, std::string_view why) const {
  const fs::path folder = place_of(key);
  const std::optional<PreparedManifest> manifest = read_manifest(folder);
  remove(folder);
  std::error_code failed;
  warn(fmt::format("the prepared artefact {}{} is not used: {}; it was {}", folder.string(),
                   manifest ? fmt::format(" of {}", manifest->source) : "", why,
                   fs::exists(folder, failed) ? "left, because it cannot be removed" : "removed"));
}

// Nobody sees half of it: it leaves its place in one step. Models that were loaded from it keep
// their mapped files.
void PreparedStore::remove(const fs::path& folder) const {
  const fs::path away =
      options_.folder / fmt::format("{}{}-{}", kLeftover, folder.filename().string(), ::getpid());
  std::error_code ignored;
  if (::rename(folder.c_str(), away.c_str()) == 0) fs::remove_all(away, ignored);
}

void PreparedStore::remove_leftovers_locked() const {
  std::error_code ignored;
  std::vector<fs::path> left;
  for (const fs::directory_entry& entry : fs::directory_iterator(options_.folder, ignored)) {
    if (entry.path().filename().native().starts_with(kLeftover)) left.push_back(entry.path());
  }
  for (const fs::path& path : left) fs::remove_all(path, ignored);
}

std::vector<PreparedStore::Artefact> PreparedStore::list() const {
  std::vector<Artefact> found;
  std::error_code failed;
  if (options_.folder.empty()) return found;
  for (const fs::directory_entry& entry : fs::directory_iterator(options_.folder, failed)) {
    if (!is_artefact(entry.path())) continue;
    std::optional<PreparedManifest> manifest = read_manifest(entry.path());
    if (!manifest) continue;
    const std::uint64_t bytes = bytes_of(*manifest);
    const fs::file_time_type used = fs::last_write_time(entry.path() / kManifest, failed);
    found.push_back({entry.path(), *std::move(manifest), bytes, used});
  }
  std::ranges::sort(found, std::greater{}, &Artefact::used);
  return found;
}

PreparedStore::Pruned PreparedStore::make_room_locked(std::uint64_t bytes) const {
  Pruned pruned;
  std::vector<Artefact> known = list();
  std::uint64_t total = bytes;
  for (const Artefact& each : known) total += each.bytes;
  for (; total > options_.bytes_max && !known.empty(); known.pop_back()) {
    remove(known.back().folder);
    total -= known.back().bytes;
    pruned.bytes += known.back().bytes;
    ++pruned.artefacts;
  }
  return pruned;
}

PreparedStore::Pruned PreparedStore::prune(const std::function<bool(const Artefact&)>& keep) const {
  std::error_code failed;
  if (options_.folder.empty() || !fs::is_directory(options_.folder, failed)) return {};
  const Lock lock(options_.folder, {});
  remove_leftovers_locked();
  Pruned pruned;
  for (const Artefact& each : list()) {
    if (keep(each)) continue;
    remove(each.folder);
    pruned.bytes += each.bytes;
    ++pruned.artefacts;
  }
  std::vector<fs::path> useless;
  for (const fs::directory_entry& entry : fs::directory_iterator(options_.folder, failed)) {
    const fs::path& path = entry.path();
    if (is_artefact(path) && !read_manifest(path)) useless.push_back(path);
    if (path.extension() != kMemo) continue;
    const std::optional<std::string> text = read_small(path);
    const std::optional<SourceRecord> record = text ? parse_source(*text) : std::nullopt;
    if (!record || !fs::exists(record->files[0].name, failed)) useless.push_back(path);
  }
  for (const fs::path& path : useless) remove(path);
  const Pruned more = make_room_locked(0);
  return {pruned.artefacts + more.artefacts, pruned.bytes + more.bytes};
}

}  // namespace baozi::engine
