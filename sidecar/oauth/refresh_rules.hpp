// What the database must know about providers to decide on refreshes.
#pragma once

#include <map>
#include <string>

#include "oauth/provider.hpp"

namespace sidecar::oauth
{

// In the form of the settings: none, grace:60, until_used, strict, auto.
std::string rotation_text(const Rotation &rotation);

// The JSON that oauth_tokens_internal.publish_refresh_rules() takes: by base name,
// {"rotation", "refresh_kills_access", "refresh_ahead", "keep_alive",
// "refreshes_per_second"}, times in seconds.
std::string refresh_rules(const std::map<std::string, Provider, std::less<>> &providers);

} // namespace sidecar::oauth
