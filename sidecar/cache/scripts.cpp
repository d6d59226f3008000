#include "cache/scripts.hpp"

namespace sidecar::cache
{

const std::string_view kReleaseScript = R"(
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1)";

const std::string_view kHeartbeatScript = R"(
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
local time = redis.call('TIME')
local left = ARGV[3] - time[1] * 1000 - math.floor(time[2] / 1000)
if redis.call('GET', KEYS[2]) == ARGV[2] and redis.call('PTTL', KEYS[2]) >= left then return 1 end
redis.call('SET', KEYS[2], ARGV[2], 'PXAT', ARGV[3])
return 1)";

const std::string_view kSwapScript = R"(
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
redis.call('SET', KEYS[2], 'evicting', 'PX', 5000)
return 1)";

const std::string_view kHoldScript = R"(
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[2], 'evicting', 'PX', 5000)
return 1)";

} // namespace sidecar::cache
