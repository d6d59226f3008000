// A grant as it is stored, for its refresh: what oauth_refresh_begin() answers beside
// the refresh token.
#pragma once

#include <boost/json/object.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace sidecar::oauth
{

struct StoredGrant {
	std::optional<std::string> scopes; // space-separated
	// Of its details; empty: not known. The first two are held against an ID token
	// where both are there.
	std::string issuer;
	std::string account_id;
	std::string client_id;
	boost::json::object extra;
};

// `details`: a JSON object as oauth_connections has it; what cannot be read of it is
// not known.
StoredGrant read_stored_grant(std::optional<std::string_view> scopes, std::string_view details);

} // namespace sidecar::oauth
