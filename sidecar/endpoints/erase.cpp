// DELETE /oauth/{provider}/token: forgets the token. Whether it is revoked at
// the provider, too, is what REFRESH.md adds.

#include "endpoints/api_request.hpp"
#include "endpoints/endpoints.hpp"
#include "endpoints/errors.hpp"
#include "endpoints/json_object.hpp"

namespace sidecar::endpoints
{

Awaitable<http::Response> erase(Context &context, const http::Request &request,
								std::string_view provider_name)
{
	auto read = read_api_request(context, request, provider_name, settings::ApiToken::erase);
	if (auto *refusal = std::get_if<http::Response>(&read))
		co_return std::move(*refusal);
	const oauth::Identity &identity = std::get<ApiRequest>(read).identity;
	bool deleted = false;
	std::optional<http::Response> failure;
	try {
		deleted = co_await context.api_store.erase(identity);
	} catch (const database::StoreError &error) {
		failure = database_error_response(error, request);
	}
	// Also where no answer came: it may have been deleted.
	co_await context.cache.forget(identity);
	if (failure)
		co_return std::move(*failure);
	JsonObject body;
	body.add("deleted", deleted).add("revocation", "skipped");
	co_return http::Response(200, "application/json", std::move(body).finish());
}

} // namespace sidecar::endpoints
