#include "settings/connection_url.hpp"

#include <string>
#include <variant>

#include "address/redis_address.hpp"

namespace sidecar::settings
{

void check_redis_url(const Secret &url, Diagnostics &diagnostics)
{
	const auto parsed = redis::parse_redis_address(url.reveal());
	if (const auto *wrong = std::get_if<std::string_view>(&parsed))
		diagnostics.error("REDIS_URL", "it " + std::string(*wrong));
}

} // namespace sidecar::settings
