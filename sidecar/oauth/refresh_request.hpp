// The request that exchanges a refresh token for an access token: RFC 6749 section 6.
#pragma once

#include <string_view>

#include "oauth/provider.hpp"
#include "oauth/provider_call.hpp"
#include "oauth/stored_grant.hpp"

namespace sidecar::oauth
{

// `endpoints`: the provider's present endpoints, from its settings or its metadata. It uses
// the refresh endpoint, or else the token endpoint. Scopes are left out, which asks for
// all that were granted, unless the provider's block says `refresh_scopes = true`.
ProviderRequest refresh_request(const Provider &provider, const ProviderEndpoints &endpoints,
								std::string_view refresh_token, const StoredGrant &stored);

} // namespace sidecar::oauth
