#include "cache/scripts.hpp"

// Tests build this again without leases, to prove that they would notice.
#ifdef OAUTH_CACHE_WITHOUT_LEASES
#define LOOK_AT_LEASE
#else
#define LOOK_AT_LEASE "if redis.call('GET', KEYS[2]) ~= ARGV[2] then return 0 end\n"
#endif

namespace sidecar::cache
{

const std::string_view kFillScript =
	"if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end\n" LOOK_AT_LEASE
	"redis.call('DEL', KEYS[2])\n"
	"redis.call('SET', KEYS[3], ARGV[3], 'PX', ARGV[5])\n"
	"redis.call('SET', KEYS[4], ARGV[4], 'PX', ARGV[5])\n"
	"return 1";

} // namespace sidecar::cache
