// GET /oauth/{provider}/token: the access token, never the refresh token. It comes
// from the cache, or from the database, and then fills the cache. A refresh behind it
// is what REFRESH.md adds.

#include <cmath>

#include "endpoints/api_request.hpp"
#include "endpoints/details.hpp"
#include "endpoints/endpoints.hpp"
#include "endpoints/errors.hpp"
#include "endpoints/json_object.hpp"

namespace sidecar::endpoints
{

namespace
{

// Times in seconds since 1970 UTC.
http::Response token_response(const Secret &access_token, const std::optional<double> &expires_at,
							  double now, const std::optional<std::string> &scopes,
							  const std::string &details)
{
	JsonObject body;
	body.add("access_token", access_token.reveal())
		.add("token_type", "Bearer")
		.add_time("expires_at", expires_at);
	if (expires_at)
		body.add("expires_in", static_cast<long long>(std::floor(*expires_at - now)));
	else
		body.add_json("expires_in", {});
	body.add("scopes", scopes);
	add_details(body, details);
	return http::Response(200, "application/json", std::move(body).finish());
}

// A token that does not is looked for in the database, which may have a newer one.
bool lives_for(const cache::Entry &entry, long long seconds, double now)
{
	return !entry.expires_at ||
		   static_cast<double>(*entry.expires_at) - now > static_cast<double>(seconds);
}

} // namespace

Awaitable<http::Response> token(Context &context, const http::Request &request,
								std::string_view provider_name)
{
	auto read =
		read_api_request(context, request, provider_name, settings::ApiToken::token, {"min_ttl"});
	if (auto *refusal = std::get_if<http::Response>(&read))
		co_return std::move(*refusal);
	const ApiRequest &call = std::get<ApiRequest>(read);
	// A valid token that lives shorter is given all the same: there is no better one.
	auto min_ttl = read_seconds(call.parameters, "min_ttl", 0, request.id);
	if (auto *refusal = std::get_if<http::Response>(&min_ttl))
		co_return std::move(*refusal);

	cache::Lookup cached = co_await context.cache.look_up(call.identity);
	const double now = static_cast<double>(context.now()) / 1000;
	if (cached.hit && lives_for(cached.hit->entry, std::get<long long>(min_ttl), now)) {
		const cache::Entry &entry = cached.hit->entry;
		co_return token_response(entry.access_token, entry.expires_at, now, entry.scope,
								 cached.hit->details);
	}

	std::optional<database::StoredToken> found;
	std::optional<http::Response> failure;
	try {
		found =
			co_await context.api_store.token(call.identity, context.cache.keeps_refresh_tokens());
	} catch (const database::StoreError &error) {
		failure = database_error_response(error, request);
	}
	if (cached.lease)
		context.cache.fill(std::move(*cached.lease), found ? &*found : nullptr);
	if (failure)
		co_return std::move(*failure);
	if (!found)
		co_return error_response(Error::not_connected, request.id);
	if (found->expires_at && *found->expires_at <= found->now)
		co_return error_response(Error::reauthorization_required, request.id,
								 "access_token_expired");
	co_return token_response(found->access_token, found->expires_at, found->now, found->scopes,
							 found->details);
}

} // namespace sidecar::endpoints
