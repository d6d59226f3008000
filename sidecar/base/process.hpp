// The process's requests to the kernel, and messages to its service manager.
#pragma once

#include <string_view>

namespace sidecar::process
{

// No core dumps. No other process of the same user can read our memory. Files are for us
// only. A broken pipe does not kill us. As many descriptors as allowed.
void harden();

// The number of open descriptors that is allowed.
long descriptor_limit();

// The number of cores that this process may use (sched_setaffinity, cpusets, quotas of CPU time,
// rounded up); at least one.
int usable_cores();

// sd_notify(3), if NOTIFY_SOCKET is set: "READY=1", "STOPPING=1".
void notify_service_manager(std::string_view state);

} // namespace sidecar::process
