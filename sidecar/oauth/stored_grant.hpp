// A stored grant, for its refresh: what oauth_refresh_begin() returns beside the refresh
// token.
#pragma once

#include <boost/json/object.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace sidecar::oauth
{

struct StoredGrant {
	std::optional<std::string> scopes; // space-separated
	// From its details; empty: not known. The first two are compared with an ID token, if there
	// is one.
	std::string issuer;
	std::string account_id;
	std::string client_id;
	boost::json::object extra;
};

// `details`: a JSON object as in oauth_connections. Members that cannot be read are not
// known.
StoredGrant read_stored_grant(std::optional<std::string_view> scopes, std::string_view details);

} // namespace sidecar::oauth
