#include "oauth/refresh_request.hpp"

#include "oauth/client_request.hpp"
#include "oauth/scopes.hpp"
#include "oauth/token_request.hpp"

namespace sidecar::oauth
{

ProviderRequest refresh_request(const Provider &provider, const ProviderEndpoints &endpoints,
								std::string_view refresh_token, const StoredGrant &stored)
{
	Fields fields = {{"grant_type", "refresh_token"}, {"refresh_token", refresh_token}};
	std::string scopes;
	// Stored scopes are separated by spaces. If they are not known, none are named.
	if (provider.refresh_scopes && stored.scopes)
		scopes = join_scopes(asked_scopes(provider, stored.scopes), provider.scope_separator);
	if (!scopes.empty())
		fields.emplace_back("scope", scopes);
	return client_request(provider, endpoints.refresh.empty() ? endpoints.token : endpoints.refresh,
						  std::move(fields), provider.refresh_params,
						  token_auth_of(provider, endpoints));
}

} // namespace sidecar::oauth
