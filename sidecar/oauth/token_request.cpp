#include "oauth/token_request.hpp"

#include "http/parameters.hpp"
#include "oauth/digest.hpp"
#include "oauth/json.hpp"

#include <algorithm>
#include <utility>

namespace sidecar::oauth
{

namespace
{

// Views: whatever they show lives as long as the request is made.
using Fields = std::vector<std::pair<std::string_view, std::string_view>>;

// Form-encodes what may be secret.
Secret form_encoded(std::string_view text)
{
	std::string encoded = http::form_encode(text);
	return Secret::take(encoded);
}

Secret form_body(const Fields &fields)
{
	Secret body;
	for (const auto &[name, value] : fields) {
		body.append(body.empty() ? "" : "&");
		body.append(http::form_encode(name));
		body.append("=");
		body.append(form_encoded(value).reveal());
	}
	return body;
}

Secret json_body(const Fields &fields)
{
	boost::json::value body(boost::json::object_kind, wiped_memory());
	for (const auto &[name, value] : fields)
		body.get_object()[name] = value;
	return serialize_secret(body);
}

bool has(const Fields &fields, std::string_view name) noexcept
{
	return std::ranges::find(fields, name, &Fields::value_type::first) != fields.end();
}

// What the settings add does not replace what the protocol says.
void add_others(Fields &fields, const Pairs &others)
{
	for (const auto &[name, value] : others)
		if (!has(fields, name))
			fields.emplace_back(name, value);
}

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

TokenAuth token_auth_of(const Provider &provider, const std::optional<Endpoints> &endpoints)
{
	if (provider.token_auth_is_set || !endpoints || !endpoints->auth_methods)
		return provider.token_auth;
	const AuthMethods &offered = *endpoints->auth_methods;
	return offered.post && !offered.basic ? TokenAuth::post : TokenAuth::basic;
}

std::string_view token_auth_fault(const Provider &provider, const Endpoints &endpoints)
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

Secret basic_credentials(const Provider &provider)
{
	Secret pair = form_encoded(provider.client_id);
	pair.append(":");
	pair.append(form_encoded(provider.client_secret.reveal()).reveal());
	std::string encoded = base64(pair.reveal());
	return Secret::take(encoded);
}

ProviderRequest token_request(const Provider &provider, std::string_view token_endpoint,
							  std::string_view redirect_uri, std::string_view code,
							  std::string_view code_verifier, TokenAuth auth)
{
	Fields fields = {
		{"grant_type", "authorization_code"}, {"code", code}, {"redirect_uri", redirect_uri}};
	if (provider.pkce)
		fields.emplace_back("code_verifier", code_verifier);
	if (auth != TokenAuth::basic)
		fields.emplace_back(provider.client_id_parameter, provider.client_id);
	if (auth == TokenAuth::post)
		fields.emplace_back("client_secret", provider.client_secret.reveal());
	add_others(fields, provider.token_params);

	const bool json = provider.body == Body::json;
	ProviderRequest request;
	request.kind = ProviderRequest::Kind::token;
	request.url = token_endpoint;
	request.headers.emplace_back("Accept", Secret("application/json"));
	request.headers.emplace_back(
		"Content-Type", Secret(json ? "application/json" : "application/x-www-form-urlencoded"));
	if (auth == TokenAuth::basic) {
		Secret header("Basic ");
		header.append(basic_credentials(provider).reveal());
		request.headers.emplace_back("Authorization", std::move(header));
	}
	request.body = json ? json_body(fields) : form_body(fields);
	return request;
}

} // namespace sidecar::oauth
