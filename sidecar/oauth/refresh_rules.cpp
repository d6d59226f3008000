#include "oauth/refresh_rules.hpp"

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

namespace sidecar::oauth
{

std::string rotation_text(const Rotation &rotation)
{
	switch (rotation.kind) {
	case Rotation::Kind::none:
		return "none";
	case Rotation::Kind::grace:
		return "grace:" + std::to_string(rotation.grace.count());
	case Rotation::Kind::until_used:
		return "until_used";
	case Rotation::Kind::automatic:
		return "auto";
	default:
		return "strict";
	}
}

std::string refresh_rules(const std::map<std::string, Provider, std::less<>> &providers)
{
	boost::json::object rules;
	for (const auto &[name, provider] : providers)
		rules[name] =
			boost::json::object({{"rotation", rotation_text(provider.rotation)},
								 {"refresh_kills_access", provider.refresh_kills_access},
								 {"refresh_ahead", provider.refresh_ahead.count()},
								 {"keep_alive", provider.keep_alive.count()},
								 {"refreshes_per_second", provider.refreshes_per_second}});
	return boost::json::serialize(rules);
}

} // namespace sidecar::oauth
