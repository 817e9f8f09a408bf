// ReadAhead: a thread that brings pieces of files into the page cache, in the order in which they
// will be used, so that the disk works on while what was read is computed with.
//
//   const ReadAhead ahead({{folder / "weights.bin", {{0, 4096}, {1 << 20, 1 << 20}}}});
//
// It stays a few megabytes ahead of what the disk has delivered, so that others who read do not
// have to wait behind all of it. What is in the page cache already costs a look for each megabyte.
//
// Thread safety: construct and destroy on any thread; the destructor ends the reading.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <thread>
#include <vector>

namespace baozi::engine {

struct ByteRange {
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  bool operator==(const ByteRange&) const = default;
};

class ReadAhead {
 public:
  struct File {
    std::filesystem::path path;
    std::vector<ByteRange> ranges;  // what lies behind the file's end is passed over
  };
  // A file that cannot be read is passed over: whoever needs it says so.
  explicit ReadAhead(std::vector<File> files);
  ~ReadAhead();
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

 private:
  void run(const std::vector<File>& files) noexcept;
  void read(int file, const ByteRange& range) noexcept;

  std::atomic<bool> ending_{false};
  std::thread thread_;
};

}  // namespace baozi::engine
