#include "baozi/base/cores.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <stdlib.h>

#include <fstream>
#include <string>
#include <thread>

namespace baozi {
namespace {

namespace fs = std::filesystem;

TEST(ParseCpuMax, IsCoresOrNothing) {
  EXPECT_EQ(parse_cpu_max("150000 100000\n"), 1.5);
  EXPECT_EQ(parse_cpu_max("50000 100000"), 0.5);
  for (const char* const none : {"max 100000\n", "-1 100000", "", "0 100000", "100000", "100000 0",
                                 "100000 x", "99999999999999999999 1", "\0"})
    EXPECT_EQ(parse_cpu_max(none), std::nullopt) << none;
}

// A tree as /sys/fs/cgroup is one.
class CpuQuotaTest : public testing::Test {
 protected:
  CpuQuotaTest() {
    std::string name = (fs::temp_directory_path() / "baozi-cores-XXXXXX").string();
    groups_ = ::mkdtemp(name.data());
  }
  ~CpuQuotaTest() override { fs::remove_all(groups_); }
  void write(const fs::path& file, const std::string& text) const {
    fs::create_directories((groups_ / file).parent_path());
    std::ofstream(groups_ / file) << text;
  }
  fs::path groups_;
};

TEST_F(CpuQuotaTest, IsTheLeastOfTheGroupAndThoseAboveIt) {
  EXPECT_EQ(cpu_quota(groups_, "0::/a/b\n"), std::nullopt);
  write("a/cpu.max", "400000 100000\n");
  write("a/b/cpu.max", "max 100000\n");
  EXPECT_EQ(cpu_quota(groups_, "0::/a/b\n"), 4);
  write("a/b/cpu.max", "200000 100000\n");
  EXPECT_EQ(cpu_quota(groups_, "0::/a/b\n"), 2);
  EXPECT_EQ(cpu_quota(groups_, "0::/a\n"), 4);
  EXPECT_EQ(cpu_quota(groups_, "0::/elsewhere\n"), std::nullopt);
  EXPECT_EQ(cpu_quota(groups_, "nonsense"), std::nullopt);
}

TEST_F(CpuQuotaTest, InAContainerIsTheRoots) {
  write("cpu.max", "300000 100000\n");
  EXPECT_EQ(cpu_quota(groups_, "0::/\n"), 3);
  EXPECT_EQ(cpu_quota(groups_, "0::/../../kubepods/pod1\n"), 3);
}

TEST_F(CpuQuotaTest, OfVersionOneIsReadToo) {
  write("cpu,cpuacct/docker/1/cpu.cfs_quota_us", "250000\n");
  write("cpu,cpuacct/docker/1/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(cpu_quota(groups_, "5:memory:/x\n4:cpu,cpuacct:/docker/1\n0::/\n"), 2.5);
  write("cpu,cpuacct/docker/1/cpu.cfs_quota_us", "-1\n");
  EXPECT_EQ(cpu_quota(groups_, "4:cpu,cpuacct:/docker/1\n"), std::nullopt);
}

TEST(UsableCores, AreNoMoreThanTheProcessMayRunOn) {
  cpu_set_t set;
  ASSERT_EQ(sched_getaffinity(0, sizeof set, &set), 0);
  EXPECT_GE(usable_cores(), 1);
  EXPECT_LE(usable_cores(), CPU_COUNT(&set));
}

}  // namespace
}  // namespace baozi
