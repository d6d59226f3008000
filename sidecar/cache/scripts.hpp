// What Redis does in one step, in Lua. None returns what it read.
#pragma once

#include <string_view>

namespace sidecar::cache
{

// KEYS epoch, lease, entry, entry metadata; ARGV epoch, lease's id, entry, entry metadata,
// milliseconds to live. 1, or 0 where the epoch or the lease is another by now.
extern const std::string_view kFillScript;

// KEYS lease; ARGV its id.
extern const std::string_view kReleaseScript;

// KEYS epoch, live; ARGV epoch, its id, when it ends (milliseconds since 1970). 1, or
// 0 where the epoch is another by now. Absolute, so that a stamp which comes late is
// born expired; one that another sidecar has set for longer stays.
extern const std::string_view kHeartbeatScript;

// KEYS epoch, live; ARGV the epoch expected (empty: none), the new one. 1, or 0 where
// another stands. The heartbeat then says nothing of entries, and shows to other databases
// that this Redis is taken.
extern const std::string_view kSwapScript;

// KEYS epoch, live; ARGV epoch. The same for 5 s more; 0 where another epoch stands.
extern const std::string_view kHoldScript;

} // namespace sidecar::cache
