// Lua scripts, for what Redis must do in one step. None returns what it read.
#pragma once

#include <string_view>

namespace sidecar::cache
{

// KEYS epoch, lease, entry, entry metadata; ARGV epoch, lease's id, entry, entry metadata,
// milliseconds to live. 1, or 0 if the epoch or the lease has changed.
inline constexpr std::string_view kFillScript = R"(
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if redis.call('GET', KEYS[2]) ~= ARGV[2] then return 0 end
redis.call('DEL', KEYS[2])
redis.call('SET', KEYS[3], ARGV[3], 'PX', ARGV[5])
redis.call('SET', KEYS[4], ARGV[4], 'PX', ARGV[5])
return 1)";

// KEYS lease, or drainer; ARGV its id, or name.
inline constexpr std::string_view kReleaseScript = R"(
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1)";

// KEYS epoch, live, drainer; ARGV epoch, its id, when the heartbeat ends (milliseconds since
// 1970), this daemon's name, for how long it drains (milliseconds). 2 if this daemon drains from
// now on, 1 if another one does, 0 if the epoch has changed. The heartbeat's end is absolute, so
// that a script that runs late writes one that has ended. A longer one of another daemon stays.
inline constexpr std::string_view kHeartbeatScript = R"(
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
local time = redis.call('TIME')
local left = ARGV[3] - time[1] * 1000 - math.floor(time[2] / 1000)
if redis.call('GET', KEYS[2]) ~= ARGV[2] or redis.call('PTTL', KEYS[2]) < left then
  redis.call('SET', KEYS[2], ARGV[2], 'PXAT', ARGV[3])
end
if (redis.pcall('GET', KEYS[3]) or ARGV[4]) ~= ARGV[4] then return 1 end
redis.call('SET', KEYS[3], ARGV[4], 'PX', ARGV[5])
return 2)";

// KEYS epoch, live; ARGV the epoch expected (empty: none), the new one. 1, or 0 if
// there is another. During the eviction, the heartbeat says nothing about entries. It shows
// other databases that this Redis is in use.
inline constexpr std::string_view kSwapScript = R"(
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
redis.call('SET', KEYS[2], 'evicting', 'PX', 5000)
return 1)";

// KEYS epoch, live; ARGV epoch. Extends that heartbeat by 5 s; 0 if there is another epoch.
inline constexpr std::string_view kHoldScript = R"(
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[2], 'evicting', 'PX', 5000)
return 1)";

} // namespace sidecar::cache
