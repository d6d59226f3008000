// Time since the machine was started, including sleep. Leases are measured by it.
#pragma once

#include <time.h>

#include <chrono>

namespace sidecar
{

inline std::chrono::nanoseconds boot_time() noexcept
{
	timespec now{};
	clock_gettime(CLOCK_BOOTTIME, &now);
	return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

} // namespace sidecar
