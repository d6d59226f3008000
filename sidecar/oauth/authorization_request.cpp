#include "oauth/authorization_request.hpp"

#include "common/provider_name.hpp"
#include "http/parameters.hpp"
#include "oauth/scopes.hpp"

#include <algorithm>

namespace sidecar::oauth
{

namespace
{

// Only we set these or leave them out; `authorize_params` cannot.
constexpr std::string_view kProtocol[] = {
	"client_id",     "code_challenge", "code_challenge_method",
	"nonce",         "redirect_uri",   "response_mode",
	"response_type", "scope",          "state"};

void append_encoded(std::string &address, std::string_view name, std::string_view value)
{
	if (const char last = address.back(); last != '?' && last != '&')
		address += address.find('?') == address.npos ? '?' : '&';
	address += http::percent_encode(name);
	address += '=';
	address += value;
}

void append(std::string &address, std::string_view name, std::string_view value)
{
	append_encoded(address, name, http::percent_encode(value));
}

// A plus sign is not escaped: providers that want one between scopes (Typeform) read it as a
// form's space. %2B would be a part of a scope's name.
std::string encoded_scopes(std::vector<std::string> scopes, std::string_view separator)
{
	if (separator != "+")
		return http::percent_encode(join_scopes(scopes, separator));
	std::ranges::transform(scopes, scopes.begin(), http::percent_encode);
	return join_scopes(scopes, separator);
}

} // namespace

std::string authorization_address(const Provider &provider, const ProviderEndpoints &endpoints,
								  std::string_view redirect_uri, const OpenedAttempt &attempt)
{
	const std::vector<std::string> scopes = asked_scopes(provider, attempt.link.scopes);
	std::string address = endpoints.authorization;
	if (address.empty())
		return address;
	append(address, "response_type", "code");
	append(address, provider.client_id_parameter, provider.client_id);
	append(address, "redirect_uri", redirect_uri);
	if (!scopes.empty())
		append_encoded(address, "scope", encoded_scopes(scopes, provider.scope_separator));
	append(address, "state", attempt.state.reveal());
	if (std::ranges::find(scopes, "openid") != scopes.end())
		append(address, "nonce", attempt.nonce.reveal());
	if (provider.pkce) {
		append(address, "code_challenge", common::code_challenge(attempt.code_verifier.reveal()));
		append(address, "code_challenge_method", "S256");
	}
	for (const auto &[name, value] : provider.authorize_params)
		if (std::ranges::find(kProtocol, name) == std::end(kProtocol) &&
			name != provider.client_id_parameter)
			append(address, name, value);
	return address;
}

std::string redirect_uri(std::string_view public_url, std::string_view provider_name)
{
	std::string address(public_url);
	return address.append("/oauth/")
		.append(common::provider_base(provider_name))
		.append("/callback");
}

} // namespace sidecar::oauth
