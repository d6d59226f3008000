#include "base/cpu_quota.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <utility>

namespace sidecar
{

namespace
{

// Files as the kernel has them.
class CpuQuotaTest : public testing::Test
{
protected:
	~CpuQuotaTest() override { std::filesystem::remove_all(root_); }

	void plant(const std::string &name, const std::string &text) const
	{
		std::filesystem::create_directories((root_ / name).parent_path());
		std::ofstream(root_ / name) << text;
	}
	void plant_version_1(const std::string &group, const std::string &time,
						 const std::string &period = "100000\n") const
	{
		plant("cpu" + group + "/cpu.cfs_quota_us", time);
		plant("cpu" + group + "/cpu.cfs_period_us", period);
	}
	// Of a process whose /proc/self/cgroup is this; 0: none.
	double quota(const std::string &self) const
	{
		plant("self", self);
		return cpu_quota(root_ / "self", root_).value_or(0);
	}

	const std::filesystem::path root_ =
		std::filesystem::path(testing::TempDir()) / ("cpu_quota_test." + std::to_string(getpid()));
};

} // namespace

TEST_F(CpuQuotaTest, OfVersion2)
{
	EXPECT_EQ(quota("0::/\n"), 0);
	plant("cpu.max", "max 100000\n");
	EXPECT_EQ(quota("0::/\n"), 0);
	plant("cpu.max", "150000 100000\n");
	EXPECT_EQ(quota("0::/\n"), 1.5);
}

TEST_F(CpuQuotaTest, OfVersion1)
{
	const std::string self = "12:memory:/\n4:cpu,cpuacct:/\n3:cpuset:/\n";
	EXPECT_EQ(quota(self), 0);
	plant_version_1("", "-1\n");
	EXPECT_EQ(quota(self), 0);
	plant_version_1("", "25000\n", "50000\n");
	EXPECT_EQ(quota(self), 0.5);
	EXPECT_EQ(quota("4:cpuacct:/\n3:cpuset:/\n"), 0); // these have no quota
}

// The smallest of all counts. Beside version 1, version 2 may be there, without controllers.
TEST_F(CpuQuotaTest, OfGroupsAbove)
{
	const std::string self = "1:cpu:/a/b\n0::/system.slice/sidecar.service\n";
	plant("system.slice/sidecar.service/cpu.max", "max 100000\n");
	plant("system.slice/cpu.max", "300000 100000\n");
	EXPECT_EQ(quota(self), 3);
	plant("system.slice/sidecar.service/cpu.max", "400000 100000\n");
	EXPECT_EQ(quota(self), 3);
	plant("system.slice/other.service/cpu.max", "1000 100000\n");
	EXPECT_EQ(quota(self), 3);
	plant_version_1("/a/b", "200000\n");
	EXPECT_EQ(quota(self), 2);
	plant_version_1("/a", "100000\n");
	EXPECT_EQ(quota(self), 1);
}

// In a container the names may be those outside, and its own group is the root.
TEST_F(CpuQuotaTest, OfAContainer)
{
	plant_version_1("", "100000\n");
	EXPECT_EQ(quota("4:cpu,cpuacct:/docker/0123\n"), 1);
	plant("cpu.max", "50000 100000\n");
	EXPECT_EQ(quota("0::/../../docker-0123.scope\n"), 0.5);
}

TEST_F(CpuQuotaTest, APartOfACoreIsOneMore)
{
	EXPECT_EQ(cores_within(4, std::nullopt), 4);
	for (const auto &[quota, cores] :
		 {std::pair{0.001, 1}, {0.5, 1}, {1.0, 1}, {1.5, 2}, {4.0, 4}, {4.5, 4}, {1e10, 4}})
		EXPECT_EQ(cores_within(4, quota), cores) << quota;
	plant("cpu.max", "17592186044415 1000\n"); // the most that the kernel takes
	EXPECT_EQ(cores_within(4, quota("0::/\n")), 4);
}

TEST_F(CpuQuotaTest, NonsenseIsNone)
{
	for (const char *text :
		 {"", "\n", "100000", "100000\n", " 100000", "0 100000\n", "-1 100000\n", "100000 0\n",
		  "100000 -1\n", "1 100000\n", "1e5 100000\n", "100000 x\n", "100000  100000\n",
		  "100000 100000 1\n", "100000 100000\n\n", "99999999999999999999 100000\n",
		  "0x186a0 100000\n"}) {
		plant("cpu.max", text);
		EXPECT_EQ(quota("0::/\n"), 0) << text;
	}
	for (const char *text : {"", "max\n", "0\n", "-2\n", "1\n", "100000 \n", "100000\n1\n"}) {
		plant_version_1("", text);
		EXPECT_EQ(quota("1:cpu:/\n"), 0) << text;
	}
	plant_version_1("", "100000\n", "");
	EXPECT_EQ(quota("1:cpu:/\n"), 0);
	plant("cpu.max", "100000 100000\n");
	for (const char *self : {"", "\n", ":", "::", "0", "0:", "no cgroup", "0:cpu", "1:cpus:/\n"})
		EXPECT_EQ(quota(self), 0) << self;
	EXPECT_EQ(cpu_quota(root_ / "missing", root_), std::nullopt);
}

} // namespace sidecar
