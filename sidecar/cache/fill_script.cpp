#include "cache/scripts.hpp"

namespace sidecar::cache
{

// The tests build it once more without the lease, to see that they would notice.
#ifdef OAUTH_CACHE_WITHOUT_LEASES
const std::string_view kFillScript = R"(
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[2])
redis.call('SET', KEYS[3], ARGV[3], 'PX', ARGV[5])
redis.call('SET', KEYS[4], ARGV[4], 'PX', ARGV[5])
return 1)";
#else
const std::string_view kFillScript = R"(
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if redis.call('GET', KEYS[2]) ~= ARGV[2] then return 0 end
redis.call('DEL', KEYS[2])
redis.call('SET', KEYS[3], ARGV[3], 'PX', ARGV[5])
redis.call('SET', KEYS[4], ARGV[4], 'PX', ARGV[5])
return 1)";
#endif

} // namespace sidecar::cache
