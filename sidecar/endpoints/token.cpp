// GET /oauth/{provider}/token: the access token, never the refresh token. It
// comes from the database; a cache in front of it and a refresh behind it are
// what CACHE.md and REFRESH.md add.

#include <cmath>

#include "endpoints/api_request.hpp"
#include "endpoints/details.hpp"
#include "endpoints/endpoints.hpp"
#include "endpoints/errors.hpp"
#include "endpoints/json_object.hpp"

namespace sidecar::endpoints
{

Awaitable<http::Response> token(Context &context, const http::Request &request,
								std::string_view provider_name)
{
	auto read = read_api_request(context, request, provider_name, settings::ApiToken::token);
	if (auto *refusal = std::get_if<http::Response>(&read))
		co_return std::move(*refusal);
	const ApiRequest &call = std::get<ApiRequest>(read);
	// A valid token that lives shorter is given all the same: there is no better one.
	auto min_ttl = read_seconds(call.parameters, "min_ttl", 0, request.id);
	if (auto *refusal = std::get_if<http::Response>(&min_ttl))
		co_return std::move(*refusal);

	std::optional<database::StoredToken> found;
	try {
		found = co_await context.api_store.token(call.identity);
	} catch (const database::StoreError &error) {
		co_return database_error_response(error, request);
	}
	if (!found)
		co_return error_response(Error::not_connected, request.id);
	if (found->expires_at && *found->expires_at <= found->now)
		co_return error_response(Error::reauthorization_required, request.id,
								 "access_token_expired");

	JsonObject body;
	body.add("access_token", found->access_token.reveal())
		.add("token_type", "Bearer")
		.add_time("expires_at", found->expires_at);
	if (found->expires_at)
		body.add("expires_in", static_cast<long long>(std::floor(*found->expires_at - found->now)));
	else
		body.add_json("expires_in", {});
	body.add("scopes", found->scopes);
	add_details(body, found->details);
	co_return http::Response(200, "application/json", std::move(body).finish());
}

} // namespace sidecar::endpoints
