// How much CPU time the kernel lets this process have: a container or a unit may have one core's
// time on a machine with many.
#pragma once

#include <filesystem>
#include <optional>

namespace sidecar
{

// In cores, the smallest quota of the process's cgroups and of those above them (CPUQuota=, docker
// --cpus), of version 1 and 2. Nothing if there is none, or if what is there is not what the kernel
// writes. `self`: names the cgroups of the process. `root`: where they are mounted.
std::optional<double> cpu_quota(const std::filesystem::path &self = "/proc/self/cgroup",
								const std::filesystem::path &root = "/sys/fs/cgroup");

// How many threads can run at a time: a part of a core's time counts as one more.
int cores_within(int cores, std::optional<double> quota);

} // namespace sidecar
