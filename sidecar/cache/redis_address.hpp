// The cache's Redis, as the settings say.
#pragma once

#include <chrono>
#include <variant>

#include "address/redis_address.hpp"
#include "redis/client.hpp"
#include "settings/settings.hpp"

namespace sidecar::cache
{

inline address::RedisAddress endpoint_of(const settings::Settings &settings)
{
	return std::get<address::RedisAddress>(
		address::parse_redis_address(settings.redis_url.reveal()));
}

inline redis::Limits limits_of(std::chrono::milliseconds command)
{
	redis::Limits limits;
	limits.command = command;
	return limits;
}

} // namespace sidecar::cache
