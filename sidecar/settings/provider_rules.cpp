#include "settings/provider_block.hpp"

#include <algorithm>
#include <span>

#include "base/text.hpp"
#include "oauth/metadata.hpp"

namespace sidecar::settings
{

namespace
{

using Names = std::span<const std::string_view>;

// What the protocol says itself: a setting that could replace the state or the
// challenge would undo the flow's protection.
constexpr std::string_view kAuthorizeParameters[] = {
	"client_id", "redirect_uri", "response_type",  "response_mode",
	"state",     "scope",        "code_challenge", "code_challenge_method",
	"nonce",     "request",      "request_uri"};
constexpr std::string_view kTokenParameters[] = {"grant_type",    "code",          "redirect_uri",
												 "client_id",     "client_secret", "code_verifier",
												 "refresh_token", "scope"};
constexpr std::string_view kRefreshParameters[] = {"grant_type",   "code",          "redirect_uri",
												   "client_id",    "client_secret", "code_verifier",
												   "refresh_token"};
constexpr std::string_view kCallbackParameters[] = {"code", "state", "iss", "error"};

bool contains(Names names, std::string_view name)
{
	return std::ranges::find(names, name) != names.end();
}

void check_parameters(const oauth::Provider &provider, const TableReader &block,
					  std::string_view key, const oauth::Pairs &parameters, Names reserved)
{
	for (const auto &[name, value] : parameters)
		if (contains(reserved, lower(name)) || name == provider.client_id_parameter)
			block.error(key,
						"it must not have " + lower(name) + ", which the protocol sets itself");
		else if (!all_visible(name) || name.empty())
			block.error(key, "the name of a parameter must be visible ASCII");
}

void check_endpoint(const TableReader &block, std::string_view key, const std::string &address)
{
	if (!address.empty() && !oauth::is_endpoint(address))
		block.error(key, "it must be a URL that begins with https:// (http:// for localhost, "
						 "127.0.0.1 and [::1] only), without user name and fragment");
}

void check_endpoints(const oauth::Provider &provider, const TableReader &block)
{
	const oauth::ProviderEndpoints &endpoints = provider.endpoints;
	check_endpoint(block, "issuer", endpoints.issuer);
	if (endpoints.issuer.find('?') != std::string::npos)
		block.error("issuer", "it must have no query");
	if (provider.require_iss == true && endpoints.issuer.empty() && !provider.issuer_per_tenant)
		block.error("require_iss", "true needs issuer, to compare what comes with");
	check_endpoint(block, "authorization_endpoint", endpoints.authorization);
	check_endpoint(block, "token_endpoint", endpoints.token);
	check_endpoint(block, "refresh_endpoint", endpoints.refresh);
	check_endpoint(block, "revocation_endpoint", endpoints.revocation);
	if (provider.discovers || block.has("preset"))
		return;
	if (endpoints.authorization.empty() && endpoints.token.empty())
		block.error("issuer", "say where the provider is: preset, issuer, or "
							  "authorization_endpoint and token_endpoint");
	else if (endpoints.authorization.empty())
		block.error("authorization_endpoint", "it is missing beside token_endpoint");
	else if (endpoints.token.empty())
		block.error("token_endpoint", "it is missing beside authorization_endpoint");
}

void check_client(const oauth::Provider &provider, const TableReader &block)
{
	const bool without_secret = provider.token_auth == oauth::TokenAuth::none;
	const bool has_secret = !provider.client_secret.empty() || block.has_any_form("client_secret");
	if (provider.client_id.empty() && !block.has_any_form("client_id"))
		block.error("client_id", "it is missing; the provider gives one when you register the "
								 "application");
	else if (!all_visible(provider.client_id))
		block.error("client_id", "it must be visible ASCII without spaces");
	const std::string name = lower(provider.client_id_parameter);
	if (name != "client_id" &&
		(name.find('.') != name.npos || !is_path(name) || contains(kAuthorizeParameters, name) ||
		 contains(kTokenParameters, name)))
		block.error("client_id_parameter", "it must be of letters, digits, _ and -, and no other "
										   "parameter of the protocol");
	if (without_secret && has_secret)
		block.error("token_auth",
					"none sends no client_secret; take it away, or use basic or post");
	if (!without_secret && !has_secret)
		block.error("client_secret", "it is missing; a public client says token_auth = \"none\"");
	if (without_secret && !provider.pkce)
		block.error("pkce", "a client without a secret needs PKCE");
}

// OpenID Connect Core 3.1.3.7: without an issuer there is nothing to hold an ID
// token against.
bool asks_in_vain_for_identity(const oauth::Provider &provider)
{
	const auto asks = [](const std::vector<std::string> &scopes) {
		return std::ranges::find(scopes, "openid") != scopes.end();
	};
	return provider.endpoints.issuer.empty() && !provider.id_token_optional &&
		   (asks(provider.scopes) || asks(provider.own_scopes));
}

void check_scopes(const oauth::Provider &provider, const TableReader &block)
{
	if (asks_in_vain_for_identity(provider))
		block.error("scopes",
					"openid asks for an ID token, and without issuer none can be checked: "
					"set issuer, or id_token = \"optional\" to do without");
	for (const std::string &scope : provider.scopes)
		if (!all_visible(scope) || scope.find_first_of("\"\\") != scope.npos ||
			scope.find(provider.scope_separator) != scope.npos) {
			block.error("scopes", "each must be visible ASCII without quotes, backslashes and the "
								  "separator");
			return;
		}
}

// Whether the path leads to a token, or to an object that one is in.
bool leads_to_token(const oauth::Provider &provider, std::string_view path)
{
	for (const std::string &part : split(path, "."))
		if (lower(part).ends_with("token"))
			return true;
	const auto leads_to = [&](std::string_view token) {
		return token == path ||
			   (token.starts_with(path) && token.substr(path.size()).starts_with('.'));
	};
	return leads_to(provider.access_token_path) || leads_to(provider.refresh_token_path);
}

void check_path(const oauth::Provider &provider, const TableReader &block, std::string_view key,
				const std::string &path)
{
	if (!is_path(path))
		block.error(key, "a path is names with dots between, as in authed_user.id");
	else if (leads_to_token(provider, path))
		block.error(key, "it must not lead to a token: what it names is stored unencrypted");
}

void check_answer(const oauth::Provider &provider, const TableReader &block)
{
	const std::pair<std::string_view, const std::string &> paths[] = {
		{"access_token_path", provider.access_token_path},
		{"refresh_token_path", provider.refresh_token_path},
		{"expires_path", provider.expires_path},
		{"scope_path", provider.scope_path}};
	for (const auto &[key, path] : paths)
		if (!path.empty() && !is_path(path))
			block.error(key, "a path is names with dots between, as in authed_user.access_token, "
							 "and indexes in arrays, as in data.0.token");
	if (!provider.refresh_token_path.empty() &&
		provider.refresh_token_path ==
			(provider.access_token_path.empty() ? "access_token" : provider.access_token_path))
		block.error("refresh_token_path", "it must be another member than the access token");
	if (!provider.account_id_path.empty())
		check_path(provider, block, "account", provider.account_id_path);
	if (!provider.account_label_path.empty())
		check_path(provider, block, "account", provider.account_label_path);
	for (const std::string &path : provider.extra)
		check_path(provider, block, "extra", path);
	for (const std::string &name : provider.callback_extra)
		if (contains(kCallbackParameters, lower(name)) || lower(name).ends_with("token"))
			block.error("callback_extra", "it must not name code, state, iss, error or a token");
		else if (!all_visible(name))
			block.error("callback_extra", "the name of a parameter must be visible ASCII");
}

void check_refresh(const oauth::Provider &provider, const TableReader &block)
{
	const bool has_scope = std::ranges::any_of(
		provider.refresh_params, [](const auto &parameter) { return parameter.first == "scope"; });
	if (provider.refresh_scopes && has_scope)
		block.error("refresh_scopes", "refresh_params has a scope already; keep one of the two");
	if (provider.refresh_kills_access && provider.refresh_ahead.count() > 0)
		block.error("refresh_ahead",
					"with refresh_kills_access a refresh that nobody needs yet ends "
					"a token that is in use; take one of the two away");
}

void check_token_types(const oauth::Provider &provider, const TableReader &block)
{
	constexpr std::string_view kBound[] = {"dpop", "mac", "n_a", "pop"};
	for (const std::string &type : provider.allow_token_types)
		if (!contains(kBound, type))
			block.error("allow_token_types",
						"it must be of DPoP, mac, N_A and pop; every other type is allowed anyway");
}

void warn_of_weakness(const oauth::Provider &provider, const TableReader &block)
{
	if (!provider.pkce)
		block.warn("pkce",
				   "false: a stolen code can be used; only for a provider that refuses PKCE");
	if (provider.require_iss == false)
		block.warn("require_iss",
				   "false: another provider's answer is not told apart by its issuer");
	if (provider.id_token_optional)
		block.warn("id_token", "\"optional\": who connected the account may stay unknown");
	if (provider.id_token_allow.no_nonce)
		block.warn("id_token_allow",
				   "no_nonce: an ID token is not tied to the attempt that it answers");
	if (!provider.allow_token_types.empty())
		block.warn("allow_token_types",
				   "such a token is worth nothing without a proof of possession, which its user "
				   "must give");
}

} // namespace

void check_provider(const oauth::Provider &provider, const TableReader &block)
{
	check_endpoints(provider, block);
	check_client(provider, block);
	check_scopes(provider, block);
	check_parameters(provider, block, "authorize_params", provider.authorize_params,
					 kAuthorizeParameters);
	check_parameters(provider, block, "token_params", provider.token_params, kTokenParameters);
	check_parameters(provider, block, "refresh_params", provider.refresh_params,
					 kRefreshParameters);
	check_answer(provider, block);
	check_refresh(provider, block);
	check_token_types(provider, block);
	warn_of_weakness(provider, block);
}

} // namespace sidecar::settings
