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

Secret basic_credentials(const Provider &provider)
{
	Secret pair = form_encoded(provider.client_id);
	pair.append(":");
	pair.append(form_encoded(provider.client_secret.reveal()).reveal());
	std::string encoded = base64(pair.reveal());
	Secret header("Basic ");
	header.append(encoded);
	wipe(encoded);
	return header;
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

} // namespace

ProviderRequest token_request(const Provider &provider, std::string_view token_endpoint,
							  std::string_view redirect_uri, std::string_view code,
							  std::string_view code_verifier)
{
	Fields fields = {
		{"grant_type", "authorization_code"}, {"code", code}, {"redirect_uri", redirect_uri}};
	if (provider.pkce)
		fields.emplace_back("code_verifier", code_verifier);
	if (provider.token_auth != TokenAuth::basic)
		fields.emplace_back(provider.client_id_parameter, provider.client_id);
	if (provider.token_auth == TokenAuth::post)
		fields.emplace_back("client_secret", provider.client_secret.reveal());
	add_others(fields, provider.token_params);

	const bool json = provider.body == Body::json;
	ProviderRequest request;
	request.kind = ProviderRequest::Kind::token;
	request.url = token_endpoint;
	request.headers.emplace_back("Accept", Secret("application/json"));
	request.headers.emplace_back(
		"Content-Type", Secret(json ? "application/json" : "application/x-www-form-urlencoded"));
	if (provider.token_auth == TokenAuth::basic)
		request.headers.emplace_back("Authorization", basic_credentials(provider));
	request.body = json ? json_body(fields) : form_body(fields);
	return request;
}

} // namespace sidecar::oauth
