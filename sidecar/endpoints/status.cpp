// GET /oauth/{provider}/status: what is connected, without secrets. It is 200
// also if nothing is.

#include "endpoints/api_request.hpp"
#include "endpoints/details.hpp"
#include "endpoints/endpoints.hpp"
#include "endpoints/json_object.hpp"

namespace sidecar::endpoints
{

Awaitable<http::Response> status(ShardContext &context, const http::Request &request,
								 std::string_view provider_name)
{
	const oauth::Identity identity =
		read_api_request(context, request, provider_name, settings::ApiToken::status).identity;
	const std::optional<database::ConnectedAccount> found =
		co_await context.api_store.connection(identity);
	const database::ConnectedAccount connection = found.value_or(database::ConnectedAccount{});
	JsonObject body;
	body.add("linked", found.has_value())
		.add("state", found ? std::string_view(connection.state) : "not_connected")
		.add("provider", std::string_view(identity.provider))
		.add("workspace_id", std::string_view(identity.workspace_id))
		.add("actor_type", std::string_view(identity.actor_type))
		.add("actor_id", std::string_view(identity.actor_id))
		.add("scopes", connection.scopes)
		.add("has_refresh_token", connection.has_refresh_token)
		.add_time("expires_at", connection.expires_at);
	add_details(body, connection.details);
	body.add("connected_at", connected_at(connection.details))
		.add_time("updated_at", connection.updated_at)
		.add("reason", connection.reason)
		.add_time("since", connection.since)
		.add_time("next_attempt_at", connection.next_attempt_at)
		.add_time("refresh_expires_at", connection.refresh_expires_at);
	co_return http::Response(200, "application/json", std::move(body).finish());
}

} // namespace sidecar::endpoints
