// Lua scripts, for what Redis must do in one step. None returns what it read.
#pragma once

#include <string_view>

namespace sidecar::cache
{

// KEYS epoch, lease, entry, entry metadata; ARGV epoch, lease's id, entry, entry metadata,
// milliseconds to live. 1, or 0 if the epoch or the lease has changed.
extern const std::string_view kFillScript;

// KEYS lease; ARGV its id.
extern const std::string_view kReleaseScript;

// KEYS epoch, live; ARGV epoch, its id, when it ends (milliseconds since 1970). 1, or
// 0 if the epoch has changed. The end is absolute, so that a script that runs late writes a
// heartbeat that has ended. A longer one of another daemon stays.
extern const std::string_view kHeartbeatScript;

// KEYS epoch, live; ARGV the epoch expected (empty: none), the new one. 1, or 0 if
// there is another. During the eviction, the heartbeat says nothing about entries. It shows
// other databases that this Redis is in use.
extern const std::string_view kSwapScript;

// KEYS epoch, live; ARGV epoch. Extends that heartbeat by 5 s; 0 if there is another epoch.
extern const std::string_view kHoldScript;

} // namespace sidecar::cache
