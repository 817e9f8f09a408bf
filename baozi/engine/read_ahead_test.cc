#include "baozi/engine/read_ahead.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "baozi/engine/descriptor.h"
#include "baozi/engine/scratch_folder.h"

namespace baozi::engine {
namespace {

constexpr std::size_t kSize = 8 << 20;
const std::size_t kPage = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));

// Which of a file's pages are in the page cache.
std::vector<bool> pages_of(const std::filesystem::path& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY));
  void* const at = ::mmap(nullptr, kSize, PROT_READ, MAP_SHARED, file.get(), 0);
  EXPECT_NE(at, MAP_FAILED);
  std::vector<unsigned char> there(kSize / kPage);
  EXPECT_EQ(::mincore(at, kSize, there.data()), 0);
  ::munmap(at, kSize);
  std::vector<bool> pages;
  for (const unsigned char page : there) pages.push_back((page & 1) != 0);
  return pages;
}

bool forget(const std::filesystem::path& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY));
  ::fsync(file.get());
  ::posix_fadvise(file.get(), 0, 0, POSIX_FADV_DONTNEED);
  const std::vector<bool> pages = pages_of(path);
  return std::count(pages.begin(), pages.end(), true) == 0;
}

TEST(ReadAhead, BringsWhatIsAskedForIntoThePageCache) {
  const ScratchFolder folder;
  const auto file = folder.write("weights", std::string(kSize, 'x'));
  if (!forget(file)) GTEST_SKIP() << "this file system keeps all of a file in memory";
  const ReadAhead ahead({{folder.path() / "absent", {{0, 10}}},
                         {file, {{5 << 20, 1 << 20}, {0, 300'000}, {kSize - 10, 1 << 20}}}});
  const auto begun = std::chrono::steady_clock::now();
  // The system may take a page out again at once, so each is looked for on its own.
  std::vector<bool> pages(pages_of(file).size());
  const auto all_there = [&] {
    const std::vector<bool> now = pages_of(file);
    for (std::size_t i = 0; i < now.size(); ++i) pages[i] = pages[i] || now[i];
    const auto range = [&](std::size_t begin, std::size_t end) {
      return std::all_of(pages.begin() + static_cast<std::ptrdiff_t>(begin / kPage),
                         pages.begin() + static_cast<std::ptrdiff_t>(end / kPage),
                         [](bool there) { return there; });
    };
    return range(5 << 20, 6 << 20) && range(0, 300'000) && pages.back();
  };
  while (!all_there()) {
    ASSERT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(30));
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

TEST(ReadAhead, EndsWhenItIsLetGoOf) {
  const ScratchFolder folder;
  const auto file = folder.write("weights", std::string(kSize, 'x'));
  for (int i = 0; i < 20; ++i) const ReadAhead ahead({{file, {{0, kSize}}}});
}

}  // namespace
}  // namespace baozi::engine
