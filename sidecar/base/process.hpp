// What the process asks of the kernel, and tells its service manager.
#pragma once

#include <string_view>

namespace sidecar::process
{

// No core dumps, no look at our memory by others of the same user, files for
// ourselves alone, no death by a broken pipe, as many descriptors as allowed.
void harden();

// Open descriptors that are allowed.
long descriptor_limit();

// sd_notify(3), where NOTIFY_SOCKET is set: "READY=1", "STOPPING=1".
void notify_service_manager(std::string_view state);

} // namespace sidecar::process
