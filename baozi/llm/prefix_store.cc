#include "baozi/llm/prefix_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "baozi/base/error.h"
#include "baozi/base/replace_file.h"

namespace baozi::llm {
namespace {

namespace fs = std::filesystem;
using engine::Token;

// The head of a file; key, tokens and bytes follow it.
struct Head {
  char magic[8];
  std::uint64_t checksum;  // XXH3 of all that follows
  std::uint64_t key_size;
  std::uint64_t token_count;
  std::uint64_t bytes_size;
};
constexpr char kMagic[8] = {'b', 'a', 'o', 'z', 'i', 'K', 'V', '1'};
constexpr std::uint64_t kHashedFrom = offsetof(Head, key_size);
constexpr std::uint64_t kKeyMax = 4096;
constexpr std::uint64_t kTokensMax = 1 << 24;
constexpr std::string_view kExtension = ".kv";

class File {
 public:
  explicit File(int descriptor) noexcept : descriptor_(descriptor) {}
  ~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  explicit operator bool() const noexcept { return descriptor_ >= 0; }
  int get() const noexcept { return descriptor_; }
  std::uint64_t size() const noexcept {
    struct stat status{};
    return ::fstat(descriptor_, &status) == 0 ? static_cast<std::uint64_t>(status.st_size) : 0;
  }
  bool read_at(void* to, std::size_t size, std::uint64_t offset) const noexcept {
    auto* next = static_cast<char*>(to);
    while (size > 0) {
      const ssize_t got = ::pread(descriptor_, next, size, static_cast<off_t>(offset));
      if (got <= 0) return false;
      next += got;
      offset += static_cast<std::uint64_t>(got);
      size -= static_cast<std::size_t>(got);
    }
    return true;
  }

 private:
  const int descriptor_;
};

std::uint64_t hash_of(std::span<const Token> tokens) {
  return XXH3_64bits(tokens.data(), tokens.size_bytes());
}

// The sizes fit the file, and each other.
bool sound(const Head& head, std::uint64_t size) {
  if (std::memcmp(head.magic, kMagic, sizeof kMagic) != 0) return false;
  if (head.key_size > kKeyMax || head.token_count == 0 || head.token_count > kTokensMax)
    return false;
  const std::uint64_t before = sizeof head + head.key_size + head.token_count * sizeof(Token);
  return size >= before && size - before == head.bytes_size;
}

}  // namespace

PrefixStore::PrefixStore(fs::path folder, std::string key, std::size_t bytes_max)
    : folder_(std::move(folder)), key_(std::move(key)), bytes_max_(bytes_max) {}

PrefixStore::Bytes::~Bytes() {
  if (mapping_ != nullptr) ::munmap(mapping_, mapped_);
}

PrefixStore::Bytes::Bytes(Bytes&& other) noexcept
    : mapping_(std::exchange(other.mapping_, nullptr)),
      mapped_(other.mapped_),
      begin_(other.begin_),
      size_(other.size_) {}

std::vector<PrefixStore::Branch> PrefixStore::branches() const {
  std::vector<std::pair<fs::file_time_type, Branch>> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder_, error)) {
    if (entry.path().extension() != kExtension) continue;
    const File file(::open(entry.path().c_str(), O_RDONLY | O_CLOEXEC));
    Head head{};
    if (!file || !file.read_at(&head, sizeof head, 0) || !sound(head, file.size())) continue;
    std::string key(head.key_size, '\0');
    if (!file.read_at(key.data(), key.size(), sizeof head) || key != key_) continue;
    Branch branch{entry.path(), std::vector<Token>(head.token_count)};
    if (!file.read_at(branch.tokens.data(), head.token_count * sizeof(Token),
                      sizeof head + head.key_size)) {
      continue;
    }
    found.emplace_back(entry.last_write_time(error), std::move(branch));
  }
  std::ranges::sort(found, std::greater{}, [](const auto& each) { return each.first; });
  std::vector<Branch> branches;
  for (auto& each : found) branches.push_back(std::move(each.second));
  return branches;
}

std::optional<PrefixStore::Bytes> PrefixStore::read(const Branch& branch) const {
  const File file(::open(branch.file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return std::nullopt;
  const std::size_t size = file.size();
  void* const mapping = size < sizeof(Head) ? MAP_FAILED
                                            : ::mmap(nullptr, size, PROT_READ,
                                                     MAP_PRIVATE | MAP_POPULATE, file.get(), 0);
  if (mapping == MAP_FAILED) return std::nullopt;
  Head head{};
  std::memcpy(&head, mapping, sizeof head);
  const std::size_t begin = size - std::min<std::uint64_t>(size, head.bytes_size);
  Bytes bytes(mapping, size, begin, size - begin);
  const char* const all = static_cast<const char*>(mapping);
  if (!sound(head, size) || XXH3_64bits(all + kHashedFrom, size - kHashedFrom) != head.checksum) {
    remove(branch);
    return std::nullopt;
  }
  ::futimens(file.get(), nullptr);  // used now; on a read-only file system never
  return bytes;
}

void PrefixStore::remove(const Branch& branch) const noexcept {
  std::error_code ignored;
  fs::remove(branch.file, ignored);
}

void PrefixStore::write(std::span<const Token> tokens, std::span<const std::byte> bytes) const {
  if (bytes.size() > bytes_max_) return;
  std::error_code error;
  if (!fs::exists(folder_, error)) {
    fs::create_directories(folder_, error);
    if (error) throw_not_written(folder_, error.value());
    fs::permissions(folder_, fs::perms::owner_all, error);  // it holds what people wrote
  }
  make_room(bytes.size());
  XXH3_state_t state;
  Head head{{}, 0, key_.size(), tokens.size(), bytes.size()};
  std::memcpy(head.magic, kMagic, sizeof kMagic);
  XXH3_64bits_reset(&state);
  XXH3_64bits_update(&state, reinterpret_cast<const char*>(&head) + kHashedFrom,
                     sizeof head - kHashedFrom);
  XXH3_64bits_update(&state, key_.data(), key_.size());
  XXH3_64bits_update(&state, tokens.data(), tokens.size_bytes());
  XXH3_64bits_update(&state, bytes.data(), bytes.size());
  head.checksum = XXH3_64bits_digest(&state);

  const std::uint64_t name = hash_of(tokens) ^ XXH3_64bits(key_.data(), key_.size());
  const fs::path path = folder_ / fmt::format("{:016x}{}", name, kExtension);
  const auto view = [](const auto& span) {
    return std::string_view(reinterpret_cast<const char*>(span.data()), span.size_bytes());
  };
  const std::span<const Head> first(&head, 1);
  replace_file(path, {view(first), key_, view(tokens), view(bytes)});
}

// Other keys' files count and go, too: their models were changed, or are not served any more.
void PrefixStore::make_room(std::size_t bytes) const {
  struct Old {
    fs::file_time_type used;
    fs::path file;
    std::uintmax_t size;
  };
  std::vector<Old> files;
  std::uintmax_t total = bytes;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder_, error)) {
    if (entry.path().extension() != kExtension) continue;
    const std::uintmax_t size = entry.file_size(error);
    if (error) continue;
    total += size;
    files.push_back({entry.last_write_time(error), entry.path(), size});
  }
  std::ranges::sort(files, {}, &Old::used);
  for (const Old& each : files) {
    if (total <= bytes_max_) return;
    fs::remove(each.file, error);
    total -= each.size;
  }
}

std::string fingerprint(const fs::path& model) {
  constexpr std::size_t kHeadBytes = 4 << 20;
  constexpr std::uint64_t kSamples = 256;
  constexpr std::size_t kSampleBytes = 4096;
  const File file(::open(model.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) throw Error(Code::kNotFound, fmt::format("cannot read {}", model.string()));
  const std::uint64_t size = file.size();
  XXH3_state_t state;
  XXH3_128bits_reset(&state);
  XXH3_128bits_update(&state, &size, sizeof size);
  std::vector<char> part(std::min<std::uint64_t>(size, kHeadBytes));
  if (file.read_at(part.data(), part.size(), 0))
    XXH3_128bits_update(&state, part.data(), part.size());
  for (std::uint64_t i = 1; i <= kSamples && size > kHeadBytes; ++i) {
    const std::uint64_t at = (size - kSampleBytes) / kSamples * i;
    if (file.read_at(part.data(), kSampleBytes, at))
      XXH3_128bits_update(&state, part.data(), kSampleBytes);
  }
  const XXH128_hash_t hash = XXH3_128bits_digest(&state);
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

}  // namespace baozi::llm
