#include "oauth/client_request.hpp"

#include "common/digest.hpp"
#include "http/parameters.hpp"
#include "oauth/json.hpp"

#include <algorithm>
#include <utility>

namespace sidecar::oauth
{

namespace
{

// Form-encodes a text that may be secret.
common::Secret form_encoded(std::string_view text)
{
	std::string encoded = http::form_encode(text);
	return common::Secret::take(encoded);
}

common::Secret form_body(const Fields &fields)
{
	common::Secret body;
	for (const auto &[name, value] : fields) {
		body.append(body.empty() ? "" : "&");
		body.append(http::form_encode(name));
		body.append("=");
		body.append(form_encoded(value).reveal());
	}
	return body;
}

common::Secret json_body(const Fields &fields)
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

// Parameters of the settings do not replace those of the protocol.
void add_others(Fields &fields, const Pairs &others)
{
	for (const auto &[name, value] : others)
		if (!has(fields, name))
			fields.emplace_back(name, value);
}

} // namespace

common::Secret basic_credentials(const Provider &provider)
{
	common::Secret pair = form_encoded(provider.client_id);
	pair.append(":");
	pair.append(form_encoded(provider.client_secret.reveal()).reveal());
	std::string encoded = common::base64(pair.reveal());
	return common::Secret::take(encoded);
}

ProviderRequest client_request(const Provider &provider, std::string_view endpoint, Fields fields,
							   const Pairs &others, TokenAuth auth)
{
	if (auth != TokenAuth::basic)
		fields.emplace_back(provider.client_id_parameter, provider.client_id);
	if (auth == TokenAuth::post)
		fields.emplace_back("client_secret", provider.client_secret.reveal());
	add_others(fields, others);

	const bool json = provider.body == Body::json;
	ProviderRequest request;
	request.kind = ProviderRequest::Kind::token;
	request.url = endpoint;
	request.headers.emplace_back("Accept", common::Secret("application/json"));
	request.headers.emplace_back(
		"Content-Type",
		common::Secret(json ? "application/json" : "application/x-www-form-urlencoded"));
	if (auth == TokenAuth::basic) {
		common::Secret header("Basic ");
		header.append(basic_credentials(provider).reveal());
		request.headers.emplace_back("Authorization", std::move(header));
	}
	request.body = json ? json_body(fields) : form_body(fields);
	return request;
}

} // namespace sidecar::oauth
