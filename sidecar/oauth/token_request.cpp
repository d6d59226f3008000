#include "oauth/token_request.hpp"

#include "oauth/client_request.hpp"

#include <utility>

namespace sidecar::oauth
{

namespace
{

bool is_among(TokenAuth auth, const AuthMethods &offered) noexcept
{
	switch (auth) {
	case TokenAuth::basic:
		return offered.basic;
	case TokenAuth::post:
		return offered.post;
	default:
		return offered.none;
	}
}

} // namespace

TokenAuth token_auth_of(const Provider &provider, const std::optional<ProviderEndpoints> &endpoints)
{
	if (provider.token_auth_is_set || !endpoints || !endpoints->auth_methods)
		return provider.token_auth;
	const AuthMethods &offered = *endpoints->auth_methods;
	return offered.post && !offered.basic ? TokenAuth::post : TokenAuth::basic;
}

std::string_view token_auth_fault(const Provider &provider, const ProviderEndpoints &endpoints)
{
	if (!endpoints.auth_methods)
		return {};
	const TokenAuth auth = token_auth_of(provider, endpoints);
	if (is_among(auth, *endpoints.auth_methods))
		return {};
	if (!provider.token_auth_is_set)
		return "its metadata offer neither client_secret_basic nor client_secret_post: "
			   "basic is sent, and may be refused";
	switch (auth) {
	case TokenAuth::basic:
		return "its metadata do not offer client_secret_basic, which token_auth = \"basic\" sends; "
			   "without token_auth the offered one is taken";
	case TokenAuth::post:
		return "its metadata do not offer client_secret_post, which token_auth = \"post\" sends; "
			   "without token_auth the offered one is taken";
	default:
		return "its metadata do not offer clients without a secret, as token_auth = \"none\" has "
			   "it";
	}
}

ProviderRequest token_request(const Provider &provider, std::string_view token_endpoint,
							  std::string_view redirect_uri, std::string_view code,
							  std::string_view code_verifier, TokenAuth auth)
{
	Fields fields = {
		{"grant_type", "authorization_code"}, {"code", code}, {"redirect_uri", redirect_uri}};
	if (provider.pkce)
		fields.emplace_back("code_verifier", code_verifier);
	return client_request(provider, token_endpoint, std::move(fields), provider.token_params, auth);
}

} // namespace sidecar::oauth
