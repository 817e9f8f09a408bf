#include "baozi/serve/free_memory.h"

#include <gtest/gtest.h>

#include "baozi/engine/scratch_folder.h"

namespace baozi::serve {
namespace {

class FreeMemoryTest : public testing::Test {
 protected:
  std::optional<std::uint64_t> free() const {
    return free_memory(folder_.path() / "proc", folder_.path() / "groups");
  }
  const engine::ScratchFolder folder_;
};

TEST_F(FreeMemoryTest, IsWhatTheSystemSaysIsAvailable) {
  folder_.write("proc/meminfo", "MemTotal: 24 kB\nMemFree: 1 kB\nMemAvailable:   10 kB\n");
  EXPECT_EQ(free(), 10u << 10);
  EXPECT_TRUE(free_memory());
}

TEST_F(FreeMemoryTest, IsWhatTheTightestGroupLeavesWithItsCachedFiles) {
  folder_.write("proc/meminfo", "MemAvailable: 10000 kB\n");
  folder_.write("proc/self/cgroup", "0::/pod/shop\n");
  folder_.write("groups/pod/memory.max", "max\n");
  folder_.write("groups/pod/memory.current", "900\n");
  folder_.write("groups/pod/shop/memory.max", "1000\n");
  folder_.write("groups/pod/shop/memory.current", "900\n");
  folder_.write("groups/pod/shop/memory.stat", "anon 500\nfile 400\n");
  EXPECT_EQ(free(), 500u);
  folder_.write("groups/pod/memory.max", "1100\n");
  EXPECT_EQ(free(), 200u);
}

TEST_F(FreeMemoryTest, IsNothingWhereNobodyTells) { EXPECT_FALSE(free()); }

}  // namespace
}  // namespace baozi::serve
