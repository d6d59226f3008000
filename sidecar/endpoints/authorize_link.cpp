// GET /oauth/{provider}/authorize?workspace_id=… with an API token: returns the
// link that oauth_authorize_url() makes. Never the provider's address, because that could not
// be tied to a browser.

#include "common/scope_list.hpp"
#include "endpoints/api_request.hpp"
#include "endpoints/endpoints.hpp"
#include "endpoints/errors.hpp"
#include "endpoints/json_object.hpp"

namespace sidecar::endpoints
{

namespace
{

std::optional<std::string> optional_text(const http::Parameters &parameters, std::string_view name)
{
	const auto value = parameters.get(name);
	return value && !value->empty() ? std::optional<std::string>(*value) : std::nullopt;
}

} // namespace

Awaitable<http::Response> authorize_link(ShardContext &context, const http::Request &request,
										 std::string_view provider_name)
{
	const ApiRequest call =
		read_api_request(context, request, provider_name, settings::ApiToken::authorize,
						 {"scopes", "return_to", "confirm"});
	oauth::Link link;
	link.identity = call.identity;
	link.scopes = optional_text(call.parameters, "scopes");
	link.return_to = optional_text(call.parameters, "return_to");
	link.confirm = read_flag(call.parameters, "confirm");
	if (link.scopes &&
		(link.scopes->size() > common::kMaxScopesBytes || !common::are_scopes(*link.scopes)))
		throw HttpError{Error::invalid_request, "scopes"};
	std::string url = co_await context.api_store.authorize_url(link);
	JsonObject body;
	body.add("authorize_url", std::string_view(url))
		.add("expires_in", static_cast<long long>(context.settings.state_ttl.count()));
	common::wipe(url);
	co_return http::Response(200, "application/json", std::move(body).finish());
}

} // namespace sidecar::endpoints
